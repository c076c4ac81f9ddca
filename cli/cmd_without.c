#include "cli/commands.h"

/* A build without the cluster form's libraries: the commands are there, and say so. */
int rill_cmd_without_cluster(int argc, char **argv)
{
    (void)argc;
    return rill_cmd_refuse(argv[0], RILL_WITHOUT_CLUSTER);
}
