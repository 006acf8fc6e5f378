/*
 * `walrelay user`: from a password to a line for auth_file.
 *
 * The password is asked for on the terminal, unseen and twice, or is one line of standard input.
 * It is wiped before the command returns; echo is back on whatever ends the command.
 */
#include "cli/commands.h"

#include "base/error.h"
#include "downstream/user_list.h"
#include "protocol/scram_verifier.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_SIZE 1024

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define ENDING_SIGNALS (sizeof(ending_signals) / sizeof(ending_signals[0]))

static volatile sig_atomic_t caught_signal;

/* What a terminal and this process were before echo was turned off. */
struct quiet_terminal {
	struct termios terminal;
	struct sigaction actions[ENDING_SIGNALS];
};

static void on_signal(int number)
{
	caught_signal = number;
}

/* A signal that came meanwhile does now what it would have done. */
static void quiet_terminal_stop(const struct quiet_terminal *quiet)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet->terminal);
	for (size_t i = 0; i < ENDING_SIGNALS; i++) {
		(void)sigaction(ending_signals[i], &quiet->actions[i], NULL);
	}
	if (caught_signal != 0) {
		(void)raise(caught_signal);
	}
}

static bool quiet_terminal_start(struct quiet_terminal *quiet, struct error *err)
{
	const struct sigaction catch = {.sa_handler = on_signal}; /* no SA_RESTART: read() ends */
	struct termios changed;

	if (tcgetattr(STDIN_FILENO, &quiet->terminal) != 0) {
		return error_set_errno(err, "could not read the terminal's settings");
	}
	changed = quiet->terminal;
	changed.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	changed.c_cc[VSUSP] = _POSIX_VDISABLE; /* a shell would come back without echo */
	caught_signal = 0;
	for (size_t i = 0; i < ENDING_SIGNALS; i++) {
		(void)sigaction(ending_signals[i], &catch, &quiet->actions[i]);
	}
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &changed) != 0) {
		error_set_errno(err, "could not turn the terminal's echo off");
		quiet_terminal_stop(quiet);
		return false;
	}
	return true;
}

/* One line without its end; what follows it stays unread. */
static bool read_line(char line_out[PASSWORD_SIZE], struct error *err)
{
	size_t length = 0;

	for (;;) {
		ssize_t got = read(STDIN_FILENO, line_out + length, 1);
		if (got < 0) {
			return error_set_errno(err, "could not read the password");
		}
		if (got == 0 && length == 0) {
			return error_set(err, ERROR_NOT_FOUND, "no password was given");
		}
		if (got == 0 || line_out[length] == '\n') {
			break;
		}
		if (line_out[length] == '\0') {
			return error_set(err, ERROR_INVALID, "the password holds a zero byte");
		}
		if (++length == PASSWORD_SIZE) {
			return error_set(err, ERROR_INVALID, "the password is longer than %d bytes",
				PASSWORD_SIZE - 1);
		}
	}
	if (length > 0 && line_out[length - 1] == '\r') {
		length--;
	}
	line_out[length] = '\0';
	return true;
}

static bool ask(const char *prompt, char password_out[PASSWORD_SIZE], struct error *err)
{
	struct quiet_terminal quiet;
	bool ok;

	(void)fputs(prompt, stderr);
	(void)fflush(stderr);
	if (!quiet_terminal_start(&quiet, err)) {
		return false;
	}
	ok = read_line(password_out, err);
	(void)fputc('\n', stderr);
	quiet_terminal_stop(&quiet);
	return ok;
}

static bool ask_twice(char password_out[PASSWORD_SIZE], struct error *err)
{
	char again[PASSWORD_SIZE];
	bool ok = ask("Password: ", password_out, err) && ask("Password again: ", again, err);

	if (ok && strcmp(password_out, again) != 0) {
		ok = error_set(err, ERROR_INVALID, "the passwords differ");
	}
	OPENSSL_cleanse(again, sizeof(again));
	return ok;
}

static bool is_ascii(const char *text)
{
	while (*text != '\0' && (unsigned char)*text < 0x80) {
		text++;
	}
	return *text == '\0';
}

static bool get_password(char password_out[PASSWORD_SIZE], struct error *err)
{
	bool ok =
		isatty(STDIN_FILENO) ? ask_twice(password_out, err) : read_line(password_out, err);

	if (ok && password_out[0] == '\0') {
		/* libpq sends no empty password, so nobody could log in with it. */
		return error_set(err, ERROR_INVALID, "the password is empty");
	}
	if (ok && !is_ascii(password_out)) {
		(void)fputs("walrelay user: warning: the password is not ASCII: it is taken byte "
			    "for byte, without SASLprep\n",
			stderr);
	}
	return ok;
}

static bool make_verifier(
	const char *password, char text_out[SCRAM_VERIFIER_SIZE], struct error *err)
{
	struct scram_verifier verifier;
	uint8_t salt[SCRAM_SALT_BYTES];

	if (RAND_bytes(salt, sizeof(salt)) != 1) {
		return error_set(err, ERROR_SYSTEM, "could not generate a random salt");
	}
	if (!scram_verifier_from_password(
		    password, strlen(password), salt, sizeof(salt), SCRAM_ITERATIONS, &verifier)) {
		return error_set(err, ERROR_SYSTEM, "could not derive a verifier");
	}
	scram_verifier_format(&verifier, text_out);
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return true;
}

static bool check_name(const char *name, struct error *err)
{
	if (name[0] == '\0') {
		return error_set(err, ERROR_INVALID, "the user name is empty");
	}
	if (strlen(name) > USER_NAME_BYTES_MAX) {
		return error_set(err, ERROR_INVALID, "the user name is longer than %d bytes",
			USER_NAME_BYTES_MAX);
	}
	if (strchr(name, '\n') != NULL) {
		return error_set(err, ERROR_INVALID, "the user name holds a line break");
	}
	return true;
}

static bool print_line(const char *name, const char *verifier, struct error *err)
{
	(void)putchar('"');
	for (; *name != '\0'; name++) {
		if (*name == '"') {
			(void)putchar('"');
		}
		(void)putchar(*name);
	}
	(void)printf("\" \"%s\"\n", verifier);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		return error_set_errno(err, "could not write to standard output");
	}
	return true;
}

static bool run(const char *name, struct error *err)
{
	char password[PASSWORD_SIZE], verifier[SCRAM_VERIFIER_SIZE];
	bool ok = check_name(name, err) && get_password(password, err) &&
		  make_verifier(password, verifier, err);

	OPENSSL_cleanse(password, sizeof(password));
	ok = ok && print_line(name, verifier, err);
	OPENSSL_cleanse(verifier, sizeof(verifier));
	return ok;
}

static void print_help(FILE *out)
{
	(void)fputs("usage: walrelay user NAME\n"
		    "\n"
		    "Asks for a password, on the terminal or as one line of standard input, and "
		    "prints\n"
		    "the line for auth_file that lets user NAME in with it:\n"
		    "\n"
		    "  (umask 077; walrelay user rep >> users.txt)\n"
		    "\n"
		    "The line holds a SCRAM-SHA-256 verifier, from which the password cannot be "
		    "told. A\n"
		    "verifier out of a PostgreSQL server (pg_authid.rolpassword) does as well.\n"
		    "\n"
		    "  -h, --help   this text\n",
		out);
}

int cli_user(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	struct error err = {0};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'h') {
			return CLI_FAILED;
		}
		print_help(stdout);
		return CLI_DONE;
	}
	if (argc - optind != 1) {
		print_help(stderr);
		return CLI_FAILED;
	}
	if (!run(argv[optind], &err)) {
		(void)fprintf(stderr, "walrelay user: %s\n", err.message);
		return CLI_FAILED;
	}
	return CLI_DONE;
}
