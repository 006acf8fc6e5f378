/*
 * backup_command: how one relay asks another for a base backup that crosses the link compressed.
 *
 *   BASE_BACKUP ( LABEL 'x', link 'zstd')    where there is a list in parentheses
 *   BASE_BACKUP LABEL 'x' LINK 'zstd'        everywhere else
 *
 * The words stand at the very end, spelled like this and in no other way: no valid command that a
 * client sends ends in them. Pure functions over texts that end in a zero byte.
 */
#ifndef PROTOCOL_BACKUP_COMMAND_H
#define PROTOCOL_BACKUP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* The ability that a relay names which understands it. */
#define BACKUP_ABILITY        "backup"
#define BACKUP_ABILITY_METHOD "zstd"
/* How much longer the asking makes a command. */
#define BACKUP_COMMAND_GROWTH 16

/* text_out: strlen(command) + BACKUP_COMMAND_GROWTH + 1 bytes. False, with nothing written: no
 * backup, one that is to come compressed already, or a text whose words are not understood. */
bool backup_command_ask(const char *command, char *text_out);
/* Takes the words out of command; false: they are not there. */
bool backup_command_take(char *command);
/* Whether the backup comes to who asks for it. False: TARGET of PostgreSQL 15 names another place
 * ('server', which is a directory there, 'blackhole', or what an extension adds), and the server
 * would write it. */
bool backup_command_is_for_client(const char *command);

#endif
