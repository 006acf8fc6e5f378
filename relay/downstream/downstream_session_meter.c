/*
 * downstream_session_meter: to whose account a session goes, and what it adds to it.
 *
 * A connection is matched by its address alone until its startup packet says who it is, and again
 * whenever the rules have changed.
 */
#include <netinet/in.h>
#include <string.h>

#include "destination/destinations.h"
#include "downstream/downstream_session_state.h"

static struct ip_address address_of(const struct sockaddr_storage *peer)
{
	struct ip_address address = {0};
	if (peer->ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, peer, sizeof(v4));
		address.length = sizeof(v4.sin_addr);
		memcpy(address.bytes, &v4.sin_addr, sizeof(v4.sin_addr));
	} else if (peer->ss_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, peer, sizeof(v6));
		address.length = sizeof(v6.sin6_addr);
		memcpy(address.bytes, &v6.sin6_addr, sizeof(v6.sin6_addr));
	}
	return address;
}

static struct destination *find_destination(const struct downstream_session *session)
{
	const struct peer peer = {
		.address = address_of(connection_peer_address(session->connection)),
		.user = session->settings.user,
		.application = session->settings.application_name,
	};
	return destinations_match(session->host->shared->destinations, &peer);
}

static void set_destination(struct downstream_session *session, struct destination *destination)
{
	bool is_another = destination != session->destination;
	pthread_mutex_lock(&session->host->stats_lock);
	session->destination = destination;
	pthread_mutex_unlock(&session->host->stats_lock);
	if (is_another && session->share != NULL) {
		rate_share_move(session->share, destination);
		turns_tell_caps(session->host->turns);
	}
}

void session_begin_count(struct downstream_session *session)
{
	if (session->host->shared->destinations != NULL) {
		set_destination(session, find_destination(session));
		session->meter = connection_meter_attach(
			session->connection, session->destination, session->host->number);
	}
}

void session_count(struct downstream_session *session)
{
	if (session->meter != NULL) {
		connection_meter_take(session->meter, progress_get(session->progress.wal_bytes),
			progress_get(session->progress.backup_bytes),
			session->state == SESSION_BACKUP);
	}
}

void session_match(struct downstream_session *session)
{
	if (session->meter != NULL) {
		set_destination(session, find_destination(session));
		connection_meter_move(session->meter, session->destination);
	}
}

void downstream_session_count(struct downstream_session *session)
{
	session_count(session);
}

void downstream_session_match(struct downstream_session *session)
{
	session_count(session);
	session_match(session);
}
