/*
 * service_manager: sd_notify(3) where libsystemd is linked.
 */
#include "app/service_manager.h"
#include "base/monotonic_clock.h"

#include <stdio.h>
#include <time.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

static void notify(const char *state)
{
#ifdef HAVE_SYSTEMD
	(void)sd_notify(0, state);
#else
	(void)state;
#endif
}

void service_manager_ready(const char *status)
{
	char text[512];
	snprintf(text, sizeof text, "READY=1\nSTATUS=%s", status);
	notify(text);
}

void service_manager_reloading(void)
{
	/* Type=notify-reload wants the time at which the reload began. */
	char text[96];
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)monotonic_clock_us());
	notify(text);
}

void service_manager_stopping(void)
{
	notify("STOPPING=1");
}

int64_t service_manager_watchdog_us(void)
{
#ifdef HAVE_SYSTEMD
	uint64_t interval_us = 0;
	if (sd_watchdog_enabled(0, &interval_us) > 0 && interval_us <= INT64_MAX) {
		return (int64_t)interval_us;
	}
#endif
	return 0;
}

void service_manager_alive(void)
{
	notify("WATCHDOG=1");
}
