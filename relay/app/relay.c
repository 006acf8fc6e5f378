/*
 * relay: opens every module from the bottom up, closes them in the mirrored order, and stands
 * between them: who learns of what is decided here and nowhere else.
 */
#include "app/relay.h"

#include "app/access.h"
#include "app/accounting.h"
#include "app/alerting.h"
#include "app/backup_passthrough.h"
#include "app/data_directory.h"
#include "app/named_files.h"
#include "app/operator_orders.h"
#include "app/relay_options.h"
#include "app/relay_replace.h"
#include "app/service_manager.h"
#include "app/signals.h"
#include "app/watchdog.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pid_file.h"
#include "downstream/mock_key.h"
#include "net/inherited_sockets.h"
#include "net/listener.h"
#include "net/loop.h"
#include "observe/status_server.h"
#include "upstream/backfill.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How long a clean stop waits for standbys to confirm what they were sent. */
#define STOP_TIMEOUT_US    5000000
#define REPLACE_TIMEOUT_US 200000

struct relay {
	char *config_path;
	struct config *config;
	struct access access;
	struct alerting_secrets secrets;
	struct pid_file *lock;
	char *name; /* a reload does not change it */
	char *wal_directory;
	struct database *database;
	struct cluster *cluster;
	struct slots *slots;
	struct pins *pins;
	struct wal_store *store;
	struct loop *main_loop;
	struct loop *upstream_loop;
	struct watchdog *watchdog;
	struct upstream *upstream;
	atomic_bool waits_for_standbys; /* to acknowledge */
	struct backfill *backfill;
	struct accounting *accounting;
	struct alerting *alerting;
	struct backup_passthrough *backups;
	struct operator_orders *orders;
	struct downstream *downstream;
	struct listener *listener;
	struct status_server *status_server;
	struct signals *signals;
	enum relay_outcome outcome;
	bool is_stopping;
	int *kept_fds;
	size_t kept_count;
};

static bool open_spool(struct relay *relay, struct error *err)
{
	const char *data_dir = relay->config->relay.data_dir;
	if (!data_directory_make(data_dir, err)) {
		return false;
	}
	char *pid_path = data_directory_path(data_dir, "walrelay.pid");
	bool is_locked = pid_file_acquire(pid_path, &relay->lock, err);
	free(pid_path);
	if (!is_locked) {
		return false;
	}
	char *database_path = data_directory_path(data_dir, "state.db");
	relay->database = database_open(database_path, err);
	free(database_path);
	if (relay->database == NULL) {
		return false;
	}
	relay->cluster = cluster_open(relay->database, err);
	relay->slots = relay->cluster == NULL ? NULL : slots_open(relay->database, err);
	relay->pins = relay->slots == NULL ? NULL : pins_open(relay->database, err);
	if (relay->pins == NULL) {
		return false;
	}
	relay->name = memory_copy_text(relay->config->relay.name);
	relay->wal_directory = data_directory_path(data_dir, "wal");
	struct wal_store_options options = relay_store_options(relay->config, relay->wal_directory);
	options.pins = relay->pins;
	relay->store = wal_store_open(&options, relay->database, relay->slots, err);
	return relay->store != NULL;
}

/* --- what the halves are told of each other ------------------------------------------------- */

static lsn_t replayed_lsn(void *context, tli_t tli)
{
	struct relay *relay = context;
	return downstream_replayed_lsn(relay->downstream, tli);
}

static lsn_t standbys_flushed_lsn(void *context, tli_t tli, unsigned standbys)
{
	struct relay *relay = context;
	return downstream_flushed_lsn(relay->downstream, tli, standbys);
}

static void oldest_xmin(void *context, uint64_t *xmin_out, uint64_t *catalog_xmin_out)
{
	struct relay *relay = context;
	downstream_oldest_xmin(relay->downstream, xmin_out, catalog_xmin_out);
}

/* On any thread. Only those who wait for standbys want to know. */
static void on_flushed(void *context)
{
	struct relay *relay = context;
	if (atomic_load(&relay->waits_for_standbys)) {
		upstream_replayed(relay->upstream);
	}
}

/* Sessions end before the upstream is freed, and none begins before it is there. */
static void on_replayed(void *context)
{
	struct relay *relay = context;
	upstream_replayed(relay->upstream);
}

/* A base backup of a server that is not followed would be of no use behind us. */
static void find_place(void *context, struct backup_place *place_out)
{
	struct relay *relay = context;
	struct upstream_stats stats;
	upstream_read_stats(relay->upstream, &stats);
	if (stats.state == UPSTREAM_STREAMING) {
		memcpy(place_out->host, stats.host, sizeof(place_out->host));
		memcpy(place_out->host_address, stats.host_address,
			sizeof(place_out->host_address));
		memcpy(place_out->port, stats.port, sizeof(place_out->port));
	}
}

static struct upstream_options upstream_options(struct relay *relay)
{
	struct upstream_options options = relay_upstream_options(relay->config);
	atomic_store(&relay->waits_for_standbys, options.acknowledge.standbys > 0);
	options.loop = relay->upstream_loop;
	options.database = relay->database;
	options.cluster = relay->cluster;
	options.store = relay->store;
	options.replayed_lsn = replayed_lsn;
	options.standbys_flushed_lsn = standbys_flushed_lsn;
	options.oldest_xmin = oldest_xmin;
	options.context = relay;
	return options;
}

static void on_match_changed(void *context)
{
	struct relay *relay = context;
	downstream_match_again(relay->downstream);
}

static void on_cap_changed(void *context)
{
	struct relay *relay = context;
	downstream_tell_caps(relay->downstream);
}

static bool open_accounting(struct relay *relay, struct error *err)
{
	const struct accounting_callbacks callbacks = {
		.on_match_changed = on_match_changed,
		.on_cap_changed = on_cap_changed,
		.context = relay,
	};
	relay->accounting = accounting_new(relay->main_loop, relay->database, relay->config,
		downstream_loop_count(relay->config->relay.sender_threads), &callbacks, err);
	return relay->accounting != NULL;
}

static bool reload(void *context, struct error *err);

static const struct config *config_in_force(void *context)
{
	struct relay *relay = context;
	return relay->config;
}

static bool open_downstream(struct relay *relay, struct error *err)
{
	uint8_t mock_key[MOCK_KEY_BYTES];
	if (!mock_key_load(relay->database, mock_key, err)) {
		return false;
	}
	const struct operator_options orders = {
		.loop = relay->main_loop,
		.cluster = relay->cluster,
		.reload = reload,
		.config = config_in_force,
		.context = relay,
	};
	relay->orders = operator_orders_new(&orders);
	relay->backups =
		backup_passthrough_new(relay->config->upstream.conninfo, relay->config->relay.name);
	backup_passthrough_use_link(
		relay->backups, relay->config->link.compression != CONFIG_COMPRESSION_NONE);
	backup_passthrough_set_place(relay->backups, find_place, relay);
	struct downstream_options options = {
		.relay_name = relay->config->relay.name,
		.page_url = relay->config->relay.page_url,
		.mock_key = mock_key,
		.sender_threads = relay->config->relay.sender_threads,
		.forward_flushed = relay->config->upstream.forward == CONFIG_FORWARD_FLUSHED,
		.cluster = relay->cluster,
		.store = relay->store,
		.slots = relay->slots,
		.destinations = accounting_destinations(relay->accounting),
		.passthrough = backup_passthrough_interface(relay->backups),
		.console = operator_orders_console(relay->orders),
		.link = relay_downstream_link(relay->config),
		.limits = relay_downstream_limits(relay->config, &relay->access),
		.on_replayed = on_replayed,
		.on_flushed = on_flushed,
		.context = relay,
	};
	relay->downstream = downstream_new(&options, err);
	return relay->downstream != NULL;
}

/* The upstream's loop is not watched: it may wait for names and for the state database. */
static bool open_watched_downstream(struct relay *relay, struct error *err)
{
	relay->watchdog = watchdog_new(relay->main_loop, err);
	if (relay->watchdog == NULL || !open_downstream(relay, err)) {
		return false;
	}
	unsigned count = downstream_loop_count(relay->config->relay.sender_threads);
	for (unsigned i = 0; i < count; i++) {
		watchdog_watch(relay->watchdog, downstream_loop(relay->downstream, i));
	}
	return true;
}

static bool open_upstream(struct relay *relay, struct error *err)
{
	relay->upstream_loop = loop_new("upstream", err);
	if (relay->upstream_loop == NULL) {
		return false;
	}
	struct upstream_options options = upstream_options(relay);
	relay->upstream = upstream_new(&options, err);
	if (relay->upstream == NULL) {
		return false;
	}
	const struct backfill_options backfill = {
		.conninfo = relay->config->upstream.conninfo,
		.relay_name = relay->config->relay.name,
		.loop = relay->upstream_loop,
		.store = relay->store,
		.cluster = relay->cluster,
	};
	relay->backfill = backfill_start(&backfill, err);
	return relay->backfill != NULL;
}

static bool open_alerting(struct relay *relay, struct error *err)
{
	relay->alerting = alerting_new(
		relay->main_loop, relay->database, relay->config, &relay->secrets, err);
	return relay->alerting != NULL;
}

static void on_accept(void *context, int fd, const struct sockaddr *peer, size_t peer_length)
{
	struct relay *relay = context;
	downstream_accept(relay->downstream, fd, peer, peer_length);
}

/* What there is to be shown, once all of it is open. */
static struct snapshot_sources snapshot_sources(const struct relay *relay)
{
	return (struct snapshot_sources){
		.relay_name = relay->name,
		.page_url = relay->config->relay.page_url,
		.upstream = relay->upstream,
		.downstream = relay->downstream,
		.store = relay->store,
		.slots = relay->slots,
		.pins = relay->pins,
		.cluster = relay->cluster,
		.destinations = accounting_destinations(relay->accounting),
		.recorder = alerting_recorder(relay->alerting),
	};
}

static bool open_doors(struct relay *relay, int *inherited, size_t count, struct error *err)
{
	const struct config_relay *config = &relay->config->relay;
	relay->listener = listener_open(
		relay->main_loop, config->listen, inherited, count, on_accept, relay, err);
	if (relay->listener == NULL) {
		return false;
	}
	if (config->http_listen[0] == '\0') {
		return true;
	}
	struct snapshot_sources sources = snapshot_sources(relay);
	sources.alerts = alerting_alerts(relay->alerting);
	relay->status_server = status_server_open(
		relay->main_loop, &sources, config->http_listen, inherited, count, err);
	return relay->status_server != NULL;
}

/* --- signals --------------------------------------------------------------------------------- */

static void on_downstream_stopped(void *context)
{
	struct relay *relay = context;
	loop_stop(relay->main_loop);
}

static void on_upstream_stopped(void *context)
{
	struct relay *relay = context;
	int64_t timeout_us = relay->outcome == RELAY_REPLACE ? REPLACE_TIMEOUT_US : STOP_TIMEOUT_US;
	downstream_stop(
		relay->downstream, timeout_us, relay->main_loop, on_downstream_stopped, relay);
}

static void stop(struct relay *relay, enum relay_outcome outcome)
{
	if (relay->is_stopping) {
		/* Told to stop while it was being replaced: then there is nothing to start anew. */
		if (outcome == RELAY_STOPPED) {
			relay->outcome = outcome;
		}
		return;
	}
	relay->is_stopping = true;
	relay->outcome = outcome;
	listener_pause(relay->listener);
	alerting_stop(relay->alerting);
	upstream_stop(relay->upstream, relay->main_loop, on_upstream_stopped, relay);
}

static void on_stop_signal(void *context)
{
	struct relay *relay = context;
	log_info(NULL, "received a signal to stop");
	service_manager_stopping();
	stop(relay, RELAY_STOPPED);
}

static void on_replace_signal(void *context)
{
	struct relay *relay = context;
	struct error err = {0};
	log_info(NULL, "received a signal to start the binary anew");
	if (!relay_replace_is_possible(relay->config_path, &err)) {
		log_error(LOG_LEVEL_ERROR, NULL, &err);
		return;
	}
	service_manager_reloading();
	stop(relay, RELAY_REPLACE);
}

static void on_reopen_signal(void *context)
{
	(void)context;
	log_reopen();
}

static void apply(struct relay *relay, struct config *config, const struct named_files *named)
{
	struct config *old = relay->config;
	struct access old_access = relay->access;
	relay->config = config;
	relay->access = named->access;
	alerting_secrets_release(&relay->secrets);
	relay->secrets = named->secrets;
	struct wal_store_options store = relay_store_options(config, relay->wal_directory);
	wal_store_set_limits(relay->store, &store);
	struct downstream_limits limits = relay_downstream_limits(config, &relay->access);
	downstream_set_limits(relay->downstream, &limits);
	accounting_reload(relay->accounting, config);
	alerting_reload(relay->alerting, config, &relay->secrets);
	operator_orders_reload(relay->orders);
	backup_passthrough_set_conninfo(relay->backups, config->upstream.conninfo);
	backfill_set_conninfo(relay->backfill, config->upstream.conninfo);
	backup_passthrough_use_link(
		relay->backups, config->link.compression != CONFIG_COMPRESSION_NONE);
	struct upstream_options upstream = upstream_options(relay);
	upstream_reload(relay->upstream, &upstream);
	access_release(&old_access);
	config_free(&old);
}

static bool reload(void *context, struct error *err)
{
	struct relay *relay = context;
	service_manager_reloading();
	struct config_report report = {0};
	struct error log_err = {0};
	struct named_files named;
	struct config *config = config_load(relay->config_path, &relay->config->conninfo, &report);
	bool ok = config != NULL && named_files_load(config, &report, &named);
	if (!ok) {
		config_report_log(&report);
		config_report_refuse(&report, err);
		config_free(&config);
	} else {
		config_compare(relay->config, config, &report);
		config_report_log(&report);
		struct log_options log = relay_log_options(config);
		if (!log_configure(&log, &log_err)) {
			log_error(LOG_LEVEL_ERROR, NULL, &log_err);
		}
		apply(relay, config, &named);
		log_info(NULL, "configuration reloaded");
	}
	config_report_release(&report);
	service_manager_ready("serving");
	return ok;
}

static void on_reload_signal(void *context)
{
	struct error err = {0};
	log_info(NULL, "received SIGHUP, reloading configuration");
	if (!reload(context, &err)) {
		log_write(LOG_LEVEL_ERROR, NULL, "%s", err.message);
	}
}

/* --- life ------------------------------------------------------------------------------------ */

static bool open_all(struct relay *relay, struct error *err)
{
	int *inherited = NULL;
	size_t inherited_count = 0;
	inherited_sockets_take(&inherited, &inherited_count);
	relay->main_loop = loop_new("main", err);
	bool ok = relay->main_loop != NULL && open_spool(relay, err) &&
		  open_accounting(relay, err) && open_watched_downstream(relay, err) &&
		  open_upstream(relay, err) && open_alerting(relay, err) &&
		  open_doors(relay, inherited, inherited_count, err);
	inherited_sockets_close(inherited, inherited_count);
	free(inherited);
	return ok;
}

struct relay *relay_new(const char *config_path, struct config *config, struct error *err)
{
	struct relay *relay = memory_new(sizeof *relay);
	relay->config_path = memory_copy_text(config_path);
	relay->config = config;
	struct config_report report = {0};
	struct named_files named;
	if (!named_files_load(config, &report, &named)) {
		config_report_log(&report);
		config_report_release(&report);
		error_set(err, ERROR_INVALID, "configuration file \"%s\" contains errors",
			config_path);
		relay_free(&relay, NULL, NULL);
		return NULL;
	}
	config_report_release(&report);
	relay->access = named.access;
	relay->secrets = named.secrets;
	if (!open_all(relay, err)) {
		relay_free(&relay, NULL, NULL);
	}
	return relay;
}

static bool start(struct relay *relay, struct error *err)
{
	static const struct signal_calls calls = {
		.stop = on_stop_signal,
		.reload = on_reload_signal,
		.reopen = on_reopen_signal,
		.replace = on_replace_signal,
	};
	const struct snapshot_sources sources = snapshot_sources(relay);
	operator_orders_connect(relay->orders, &sources);
	if (!downstream_start(relay->downstream, err) || !loop_start(relay->upstream_loop, err)) {
		return false;
	}
	relay->signals = signals_start(relay->main_loop, &calls, relay, err);
	if (relay->signals == NULL) {
		return false;
	}
	upstream_start(relay->upstream);
	accounting_start(relay->accounting);
	watchdog_start(relay->watchdog);
	alerting_start(relay->alerting, &sources);
	return true;
}

enum relay_outcome relay_run(struct relay *relay)
{
	struct error err = {0};
	if (!start(relay, &err)) {
		log_error(LOG_LEVEL_ERROR, NULL, &err);
		return RELAY_FAILED;
	}
	for (size_t i = 0; i < listener_count(relay->listener); i++) {
		log_info(NULL, "listening on %s", listener_address(relay->listener, i));
	}
	log_info(NULL, "walrelay %s \"%s\" is ready to accept connections", WALRELAY_VERSION,
		relay->config->relay.name);
	service_manager_ready("serving");
	loop_run(relay->main_loop);
	return relay->outcome;
}

static void keep_doors_open(struct relay *relay)
{
	size_t count = listener_count(relay->listener);
	size_t http_count =
		relay->status_server != NULL ? status_server_count(relay->status_server) : 0;
	relay->kept_count = count + http_count;
	relay->kept_fds = memory_new(relay->kept_count * sizeof *relay->kept_fds);
	listener_hand_over(&relay->listener, relay->kept_fds);
	if (relay->status_server != NULL) {
		status_server_hand_over(&relay->status_server, relay->kept_fds + count);
	}
}

static void close_doors(struct relay *relay)
{
	if (relay->outcome == RELAY_REPLACE) {
		keep_doors_open(relay);
		return;
	}
	status_server_close(&relay->status_server);
	listener_close(&relay->listener);
}

static void close_upstream(struct relay *relay)
{
	backfill_stop(relay->backfill);
	if (relay->upstream_loop != NULL) {
		loop_stop(relay->upstream_loop);
		loop_join(relay->upstream_loop);
	}
	backfill_free(&relay->backfill);
	upstream_free(&relay->upstream);
	loop_free(&relay->upstream_loop);
}

void relay_free(struct relay **relay_in_out, int **kept_fds_out, size_t *kept_count_out)
{
	struct relay *relay = *relay_in_out;
	if (relay == NULL) {
		return;
	}
	signals_stop(&relay->signals);
	close_doors(relay);
	alerting_free(&relay->alerting);
	close_upstream(relay);
	downstream_free(&relay->downstream);
	watchdog_free(&relay->watchdog);
	operator_orders_free(&relay->orders);
	accounting_free(&relay->accounting);
	backup_passthrough_free(&relay->backups);
	wal_store_close(&relay->store);
	pins_close(&relay->pins);
	slots_close(&relay->slots);
	cluster_close(&relay->cluster);
	database_close(&relay->database);
	loop_free(&relay->main_loop);
	pid_file_release(&relay->lock);
	access_release(&relay->access);
	alerting_secrets_release(&relay->secrets);
	config_free(&relay->config);
	free(relay->wal_directory);
	free(relay->name);
	free(relay->config_path);
	if (kept_fds_out != NULL) {
		*kept_fds_out = relay->kept_fds;
		*kept_count_out = relay->kept_count;
	} else {
		free(relay->kept_fds);
	}
	free(relay);
	*relay_in_out = NULL;
}
