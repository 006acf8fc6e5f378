/*
 * relay_options: the one place that knows both the configuration and the modules' options.
 */
#include "app/relay_options.h"

#include "app/config_places.h"

struct log_options relay_log_options(const struct config *config)
{
	return (struct log_options){
		.level = config->relay.log_level,
		.format = config->relay.log_format,
		.file = config->relay.log_file[0] != '\0' ? config->relay.log_file : NULL,
	};
}

/* Unless it is set, no more is kept for it than is kept anyway. */
static uint64_t link_bytes(const struct config *config)
{
	uint64_t reference = config->link.reference_bytes;

	if (config->link.compression == CONFIG_COMPRESSION_NONE) {
		return 0;
	}
	if (config_places_find(config->places, "link", "reference") != 0 ||
		reference < config->spool.retain_bytes) {
		return reference;
	}
	return config->spool.retain_bytes;
}

struct wal_store_options relay_store_options(const struct config *config, const char *directory)
{
	return (struct wal_store_options){
		.directory = directory,
		.retain_bytes = config->spool.retain_bytes,
		.retain_us = config->spool.retain_us,
		.link_bytes = link_bytes(config),
		.max_bytes = config->spool.max_bytes,
		.min_free_bytes = config->spool.min_free_bytes,
	};
}

static unsigned lanes(const struct config *config)
{
	return config->link.lanes.is_auto ? 0 : (unsigned)config->link.lanes.level;
}

struct upstream_options relay_upstream_options(const struct config *config)
{
	return (struct upstream_options){
		.relay_name = config->relay.name,
		.conninfo = config->upstream.conninfo,
		.slot = config->upstream.slot,
		.start = config->upstream.start.kind,
		.start_lsn = config->upstream.start.lsn,
		.acknowledge = {config->upstream.acknowledge.standbys,
			config->upstream.acknowledge_timeout_us},
		.remote_apply_flush = config->upstream.remote_apply == CONFIG_REMOTE_APPLY_FLUSH,
		.wants_link = config->link.compression == CONFIG_COMPRESSION_ZSTD,
		.recompresses = config->link.recompress,
		.lanes = lanes(config),
		.status_interval_us = config->upstream.wal_receiver_status_interval_us,
		.receiver_timeout_us = config->upstream.wal_receiver_timeout_us,
	};
}

struct downstream_limits relay_downstream_limits(
	const struct config *config, const struct access *access)
{
	const struct config_relay *relay = &config->relay;
	return (struct downstream_limits){
		.max_connections = relay->max_connections,
		.max_connections_per_address = relay->max_connections_per_address,
		.authentication_timeout_us = relay->authentication_timeout_us,
		.wal_sender_timeout_us = relay->wal_sender_timeout_us,
		.egress_cap_bytes = config->egress.rate_cap_bytes,
		.proxy_protocol = relay->proxy_protocol,
		.proxy_from = relay->proxy_from[0] != '\0' ? relay->proxy_from : NULL,
		.hba = access->hba,
		.users = access->users,
		.tls = access->tls,
	};
}

struct downstream_link relay_downstream_link(const struct config *config)
{
	const struct config_link *link = &config->link;
	return (struct downstream_link){
		.is_offered = link->compression == CONFIG_COMPRESSION_ZSTD,
		.recompresses = link->recompress,
		.is_level_auto = link->level.is_auto,
		.level = link->level.level,
		.congestion = link->congestion,
		.reference_bytes = link->reference_bytes,
		.lanes = lanes(config),
	};
}
