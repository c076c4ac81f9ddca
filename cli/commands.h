/* The commands of `rill`. Each takes its own arguments (argv[0] is the command's name), shows its
 * own errors on stderr in one line, and returns the exit code: 0 done, 1 broke a promise, 2 bad use
 * or bad input. */
#ifndef RILL_CLI_COMMANDS_H
#define RILL_CLI_COMMANDS_H

enum { RILL_EXIT_DONE = 0, RILL_EXIT_BROKEN = 1, RILL_EXIT_BAD = 2 };

int rill_cmd_replay(int argc, char **argv);
int rill_cmd_settings(int argc, char **argv);
int rill_cmd_store(int argc, char **argv); /* argv[1] is "put", "get" or "list" */
int rill_cmd_trace(int argc, char **argv); /* argv[1] is "info" or "gen" */

/* Of a cluster. A build without the cluster form has rill_cmd_without_cluster() in their place,
 * which says what to install. */
int rill_cmd_up(int argc, char **argv);
int rill_cmd_down(int argc, char **argv);
int rill_cmd_status(int argc, char **argv);
int rill_cmd_deploy(int argc, char **argv);
int rill_cmd_undeploy(int argc, char **argv);
int rill_cmd_fail(int argc, char **argv);
int rill_cmd_logs(int argc, char **argv);
int rill_cmd_records(int argc, char **argv);
int rill_cmd_bill(int argc, char **argv);
int rill_cmd_without_cluster(int argc, char **argv);
#define RILL_WITHOUT_CLUSTER                                                                       \
    "this build has no cluster form: apt-get install lxc-dev libuv1-dev libprotobuf-c-dev "        \
    "protobuf-c-compiler libnng-dev, then build again"

/* "rill COMMAND: LINE" on stderr; returns RILL_EXIT_BAD. */
int rill_cmd_refuse(const char *command, const char *line);

#endif
