/*
 * service_manager: what systemd is told (Type=notify) and what it asks for.
 *
 * Without libsystemd, or when not started by systemd, telling does nothing.
 */
#ifndef APP_SERVICE_MANAGER_H
#define APP_SERVICE_MANAGER_H

#include <stdint.h>

void service_manager_ready(const char *status);
void service_manager_reloading(void);
void service_manager_stopping(void);

/* After how long a silence it acts (WatchdogSec=), in microseconds; 0: it does not watch. */
int64_t service_manager_watchdog_us(void);
void service_manager_alive(void);

#endif
