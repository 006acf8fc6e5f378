/*
 * service_manager: what systemd is told (Type=notify).
 *
 * Without libsystemd, or when not started by systemd, telling does nothing.
 */
#ifndef APP_SERVICE_MANAGER_H
#define APP_SERVICE_MANAGER_H

void service_manager_ready(const char *status);
void service_manager_reloading(void);
void service_manager_stopping(void);

#endif
