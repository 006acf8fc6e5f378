/* The command as a child process, on a pipe and on a terminal of its own. */
#include "cli/commands.h"
#include "downstream/user_list.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define DEADLINE_MS 20000

struct command {
	pid_t pid;
	int in;  /* what it reads: a pipe, or the terminal */
	int out; /* its standard output */
	int err; /* its standard error: a pipe, or the terminal */
	char out_text[4096];
	char err_text[4096];
};

static void run_child(char *const *arguments, int in, int out, int err)
{
	int argc = 0, code;

	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	while (arguments[argc] != NULL) {
		argc++;
	}
	code = cli_user(argc, (char **)arguments);
	fflush(stdout);
	_exit(code); /* exit() would run what the tests' side has registered */
}

static struct command start_on_pipe(char *const *arguments)
{
	struct command command = {0};
	int in[2], out[2], err[2];

	assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
	command.pid = fork();
	assert_true(command.pid >= 0);
	if (command.pid == 0) {
		close(in[1]);
		run_child(arguments, in[0], out[1], err[1]);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	command.in = in[1];
	command.out = out[0];
	command.err = err[0];
	return command;
}

static struct command start_on_terminal(char *const *arguments)
{
	struct command command = {0};
	int out[2], terminal;

	assert_int_equal(pipe(out), 0);
	command.pid = forkpty(&terminal, NULL, NULL, NULL);
	assert_true(command.pid >= 0);
	if (command.pid == 0) {
		run_child(arguments, STDIN_FILENO, out[1], STDERR_FILENO);
	}
	close(out[1]);
	command.in = command.err = terminal;
	command.out = out[0];
	return command;
}

/* Appends what comes; false at the end. */
static bool read_more(int fd, char text[4096])
{
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	size_t length = strlen(text);
	ssize_t got;

	if (poll(&waiting, 1, DEADLINE_MS) != 1) {
		fail_msg("nothing came after \"%s\"", text);
	}
	got = read(fd, text + length, 4095 - length);
	return got > 0; /* a terminal whose other side is gone answers EIO */
}

static void wait_for_text(struct command *command, const char *text)
{
	while (strstr(command->err_text, text) == NULL) {
		if (!read_more(command->err, command->err_text)) {
			fail_msg("ended without \"%s\": %s", text, command->err_text);
		}
	}
}

/* The prompt comes before echo goes: typing waits until it has. */
static void wait_for_echo(const struct command *command, bool echo)
{
	struct termios terminal;
	int tries = 0;

	do {
		assert_int_equal(tcgetattr(command->in, &terminal), 0);
		poll(NULL, 0, 1);
		assert_true(tries++ < DEADLINE_MS);
	} while (((terminal.c_lflag & ECHO) != 0) != echo);
}

static void type(struct command *command, const char *prompt, const char *text)
{
	wait_for_text(command, prompt);
	command->err_text[0] = '\0';
	wait_for_echo(command, false);
	assert_int_equal(write(command->in, text, strlen(text)), strlen(text));
	if (strchr(text, '\n') != NULL) {
		wait_for_text(command, "\n");
	}
}

static int finish(struct command *command)
{
	int status;

	if (command->in != command->err) {
		close(command->in);
	}
	while (read_more(command->out, command->out_text)) {
	}
	while (read_more(command->err, command->err_text)) {
	}
	assert_int_equal(waitpid(command->pid, &status, 0), command->pid);
	close(command->out);
	close(command->err);
	return status;
}

static int run_with_input(struct command *command, char *name, const char *input)
{
	char *arguments[] = {(char *)"walrelay user", name, NULL};
	int status;

	*command = start_on_pipe(arguments);
	assert_int_equal(write(command->in, input, strlen(input)), strlen(input));
	status = finish(command);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void on_problem(void *context, const char *file, unsigned line, const char *message)
{
	(void)context;
	fail_msg("%s:%u: %s", file, line, message);
}

/* The printed line lets this user in with this password. */
static void assert_line_for(const char *text, const char *name, const char *password)
{
	struct user_list *users = user_list_parse("output", text, strlen(text), on_problem, NULL);
	const struct scram_verifier *found = user_list_find(users, name);
	struct scram_verifier expected;

	assert_non_null(found);
	assert_int_equal(user_list_count(users), 1);
	assert_true(scram_verifier_from_password(password, strlen(password), found->salt,
		found->salt_length, found->iterations, &expected));
	assert_memory_equal(found->stored_key, expected.stored_key, SCRAM_KEY_BYTES);
	assert_memory_equal(found->server_key, expected.server_key, SCRAM_KEY_BYTES);
	assert_int_equal(found->iterations, SCRAM_ITERATIONS);
	assert_int_equal(found->salt_length, SCRAM_SALT_BYTES);
	user_list_unref(&users);
}

static void test_user__makes_a_line_from_standard_input(void **state)
{
	static const struct {
		const char *name;
		const char *input;
		const char *password;
	} cases[] = {
		{"rep", "secret\n", "secret"},
		{"rep", "secret", "secret"},
		{"rep", "secret\r\nsecond line\n", "secret"},
		{"a \"b\" ; c", " with blanks \n", " with blanks "},
		{"rep", "\"\\\n", "\"\\"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command command;

		assert_int_equal(
			run_with_input(&command, (char *)cases[i].name, cases[i].input), CLI_DONE);
		assert_string_equal(command.err_text, "");
		assert_line_for(command.out_text, cases[i].name, cases[i].password);
	}
}

static void test_user__makes_another_salt_each_time(void **state)
{
	struct command first, second;

	(void)state;
	assert_int_equal(run_with_input(&first, (char *)"rep", "secret\n"), CLI_DONE);
	assert_int_equal(run_with_input(&second, (char *)"rep", "secret\n"), CLI_DONE);
	assert_string_not_equal(first.out_text, second.out_text);
}

static void test_user__warns_of_a_password_outside_ascii(void **state)
{
	struct command command;

	(void)state;
	assert_int_equal(run_with_input(&command, (char *)"rep", "p\u00e4ss\n"), CLI_DONE);
	assert_non_null(strstr(command.err_text, "warning: the password is not ASCII"));
	assert_line_for(command.out_text, "rep", "p\u00e4ss");
}

static void test_user__says_what_it_cannot_take(void **state)
{
	static char long_name[65], long_password[1026];
	static const struct {
		const char *name;
		const char *input;
		const char *message;
	} cases[] = {
		{"rep", "", "walrelay user: no password was given\n"},
		{"rep", "\n", "walrelay user: the password is empty\n"},
		{"rep", long_password, "walrelay user: the password is longer than 1023 bytes\n"},
		{"", "secret\n", "walrelay user: the user name is empty\n"},
		{long_name, "secret\n", "walrelay user: the user name is longer than 63 bytes\n"},
		{"a\nb", "secret\n", "walrelay user: the user name holds a line break\n"},
	};

	(void)state;
	memset(long_name, 'n', sizeof(long_name) - 1);
	memset(long_password, 'p', sizeof(long_password) - 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command command;

		assert_int_equal(run_with_input(&command, (char *)cases[i].name, cases[i].input),
			CLI_FAILED);
		assert_string_equal(command.err_text, cases[i].message);
		assert_string_equal(command.out_text, "");
	}
}

static void test_user__wants_one_name(void **state)
{
	char *none[] = {(char *)"walrelay user", NULL};
	char *two[] = {(char *)"walrelay user", (char *)"a", (char *)"b", NULL};
	char *help[] = {(char *)"walrelay user", (char *)"--help", NULL};
	char *const *const wrong[] = {none, two};
	struct command command;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		command = start_on_pipe(wrong[i]);
		assert_int_equal(WEXITSTATUS(finish(&command)), CLI_FAILED);
		assert_memory_equal(command.err_text, "usage: walrelay user NAME\n", 26);
	}
	command = start_on_pipe(help);
	assert_int_equal(WEXITSTATUS(finish(&command)), CLI_DONE);
	assert_memory_equal(command.out_text, "usage: walrelay user NAME\n", 26);
}

static void test_user__asks_twice_on_a_terminal_without_echo(void **state)
{
	char *arguments[] = {(char *)"walrelay user", (char *)"rep", NULL};
	struct command command = start_on_terminal(arguments);

	(void)state;
	type(&command, "Password: ", "secret\n");
	assert_null(strstr(command.err_text, "secret"));
	type(&command, "Password again: ", "secret\n");
	assert_int_equal(WEXITSTATUS(finish(&command)), CLI_DONE);
	assert_null(strstr(command.err_text, "secret"));
	assert_line_for(command.out_text, "rep", "secret");
}

static void test_user__wants_the_same_password_twice(void **state)
{
	char *arguments[] = {(char *)"walrelay user", (char *)"rep", NULL};
	struct command command = start_on_terminal(arguments);

	(void)state;
	type(&command, "Password: ", "secret\n");
	type(&command, "Password again: ", "secrte\n");
	assert_int_equal(WEXITSTATUS(finish(&command)), CLI_FAILED);
	assert_non_null(strstr(command.err_text, "the passwords differ"));
	assert_string_equal(command.out_text, "");
}

static void test_user__an_interrupt_brings_echo_back(void **state)
{
	char *arguments[] = {(char *)"walrelay user", (char *)"rep", NULL};
	struct command command = start_on_terminal(arguments);
	struct termios terminal;
	int status;

	(void)state;
	type(&command, "Password: ", "\x03");
	assert_int_equal(waitpid(command.pid, &status, 0), command.pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGINT);
	assert_int_equal(tcgetattr(command.in, &terminal), 0);
	assert_true((terminal.c_lflag & ECHO) != 0);
	close(command.in);
	close(command.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user__makes_a_line_from_standard_input),
		cmocka_unit_test(test_user__makes_another_salt_each_time),
		cmocka_unit_test(test_user__warns_of_a_password_outside_ascii),
		cmocka_unit_test(test_user__says_what_it_cannot_take),
		cmocka_unit_test(test_user__wants_one_name),
		cmocka_unit_test(test_user__asks_twice_on_a_terminal_without_echo),
		cmocka_unit_test(test_user__wants_the_same_password_twice),
		cmocka_unit_test(test_user__an_interrupt_brings_echo_back),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("user", tests, NULL, NULL);
}
