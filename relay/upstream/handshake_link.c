/*
 * handshake_link: is the server a relay that serves links, and on which terms.
 *
 * PostgreSQL does not know the setting, nor does a relay that serves none. What answers with
 * something that is no offer is followed as PostgreSQL would be.
 */
#include "upstream/handshake_step.h"

#include "base/log.h"

#include <assert.h>
#include <string.h>

static enum step_begin begin_link(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->has_asked || handshake->is_again || !handshake->options.wants_link) {
		return STEP_DONE;
	}
	return handshake_ask(handshake, err, "SHOW " LINK_SETTING_NAME);
}

static bool take_offer(
	struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	struct link_offer ours;
	bool is_added;

	(void)err;
	link_offer_init(&ours);
	if (PQntuples(rows) == 1 && PQnfields(rows) >= 2 &&
		PQgetlength(rows, 0, 1) < (int)sizeof(handshake->page_url)) {
		strcpy(handshake->page_url, PQgetvalue(rows, 0, 1));
	}
	if (handshake->options.recompresses) {
		link_offer_add_recompress(&ours);
	}
	if (handshake->options.wants_lanes) {
		is_added = link_abilities_add(&ours.abilities, LINK_LANES_ABILITY, LINK_LANES_WAY);
		assert(is_added);
	}
	if (PQntuples(rows) == 1 && PQnfields(rows) >= 1) {
		handshake->has_link =
			link_offer_agree(&ours, PQgetvalue(rows, 0, 0), &handshake->link);
	}
	if (!handshake->has_link) {
		log_info("upstream", "upstream is a relay, but none that we share a link version "
				     "with: following it as a PostgreSQL server");
	}
	return true;
}

static bool is_no_relay(
	struct upstream_handshake *handshake, const char *sqlstate, const char *message)
{
	(void)handshake;
	(void)message;
	return strcmp(sqlstate, "42704") == 0 || strcmp(sqlstate, "0A000") == 0;
}

const struct handshake_step handshake_show_link = {
	.command = "SHOW " LINK_SETTING_NAME,
	.begin = begin_link,
	.on_rows = take_offer,
	.on_error = is_no_relay,
};
