/*
 * standby_labels: a name for each standby that no other has.
 *
 * The application name where that is enough, with "#" and the session's pid where it is not: where
 * two share a name, where it is empty, or where it could be taken for one made here.
 */
#ifndef OBSERVE_STANDBY_LABELS_H
#define OBSERVE_STANDBY_LABELS_H

#include "downstream/downstream.h"

#include <stddef.h>

#define STANDBY_LABEL_SIZE 80

/* labels_out[i] belongs to standbys[i]. */
void standby_labels_make(
	const struct standby_stats *standbys, size_t count, char (*labels_out)[STANDBY_LABEL_SIZE]);

#endif
