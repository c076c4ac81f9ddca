#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/nf_input.h"

enum {
    UNITS_DEFAULT = 2,
    CONTROLLERS_MAX = 16,
    ANSWER_MS = 120000, /* the RM has its own, shorter time-outs for what it waits for */
    CHECK_MS = 2000,
    IMAGE_BYTES_MAX = 30 << 20,
    NAME_MAX_BYTES = 24,
    VALUE_BYTES = 65536,
};

/* --- arguments ------------------------------------------------------------------------------- */

struct request {
    struct rill_place place; /* first: see place.h */
    struct rill_nf_request nf;
    char **sets;
    size_t set_count;
    const char *name, *inside, *outside; /* NULL: not given */
    uint32_t units, controllers;
};

static int take_text(const char **to, const char *option, const char *value, struct rill_error *err)
{
    if (value[0] == '\0')
        return rill_error_set(err, -EINVAL, "--%s '': it must not be empty", option);
    *to = value;
    return 0;
}

static int take_nf(void *target, const char *text, struct rill_error *err)
{
    struct request *r = target;

    if (r->nf.nf != NULL)
        return rill_error_set(err, -EINVAL, "one network function at a time: '%s' is the second",
                              text);
    return take_text(&r->nf.nf, "nf", text, err);
}

static int take_config(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct request *)target)->nf.config, "config", value, err);
}

static int take_name(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct request *)target)->name, "name", value, err);
}

static int take_inside(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct request *)target)->inside, "inside-interface", value, err);
}

static int take_outside(void *target, const char *value, struct rill_error *err)
{
    return take_text(&((struct request *)target)->outside, "outside-interface", value, err);
}

static int take_units(void *target, const char *value, struct rill_error *err)
{
    uint64_t units;

    if (rill_args_u64(value, &units) != 0 || units == 0 || units > 1000)
        return rill_error_set(err, -EINVAL, "--units '%s': it is a whole number from 1", value);
    ((struct request *)target)->units = (uint32_t)units;
    return 0;
}

static int take_set(void *target, const char *value, struct rill_error *err)
{
    struct request *r = target;

    return rill_args_add_pair(&r->sets, &r->set_count, "", value, err);
}

static int take_controllers(void *target, const char *value, struct rill_error *err)
{
    uint64_t controllers;

    if (rill_args_u64(value, &controllers) != 0 || controllers == 0 ||
        controllers > CONTROLLERS_MAX)
        return rill_error_set(err, -EINVAL,
                              "--controllers '%.40s': it is a whole number from 1 to %d", value,
                              CONTROLLERS_MAX);
    ((struct request *)target)->controllers = (uint32_t)controllers;
    return 0;
}

static const struct rill_arg table[] = {
    RILL_PLACE_ARGS,
    {"config", "FILE",
     "a deployment file (YAML): the NF, its configuration and Rill's settings; NF may then be left "
     "out",
     false, NULL, take_config},
    {"name", "NAME", "the deployment's name (default: the NF's)", false, NULL, take_name},
    {"units", "N", "how many units it has (default 2)", false, NULL, take_units},
    {"controllers", "N", "how many controllers its traffic is split over, 1 to 16 (default 1)",
     false, NULL, take_controllers},
    {"set", "NAME=VALUE", "a setting (`rill settings` lists them); may be given again", true, NULL,
     take_set},
    {"inside-interface", "IF", "network interface of this machine where the inside is, ...", false,
     NULL, take_inside},
    {"outside-interface", "IF",
     "... and where the outside is. Without the two, packets come from `rill replay --cluster`",
     false, NULL, take_outside},
    {0},
};

static int help(void)
{
    puts("usage: rill deploy NF [OPTION...]\n"
         "       rill deploy --config FILE [OPTION...]\n"
         "\n"
         "Starts a network function on a cluster: controllers, units that run it, and an output\n"
         "logger for each. NF is a name (nat, lb, ...) or the path of a shared object (holds a "
         "'/').\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

static int judge(struct request *r, struct rill_error *err)
{
    int rc = rill_place_resolve(&r->place, err);

    if (rc != 0)
        return rc;
    if (r->nf.nf == NULL && r->nf.config == NULL)
        return rill_error_set(err, -EINVAL, "which network function? rill deploy NF");
    if ((r->inside == NULL) != (r->outside == NULL))
        return rill_error_set(err, -EINVAL,
                              "--inside-interface and --outside-interface go together");
    r->nf.sets = r->sets;
    r->nf.set_count = r->set_count;
    return 0;
}

/* --- what is sent ---------------------------------------------------------------------------- */

/* Of a configuration, all that is not default, as after --set. */
struct named {
    Control__Named **list;
    size_t count;
};

static void free_named(struct named *named)
{
    for (size_t i = 0; i < named->count; i++) {
        free(named->list[i]->name);
        free(named->list[i]->text);
        free(named->list[i]);
    }
    free(named->list);
}

static int add_named(struct named *named, const char *name, const char *text)
{
    Control__Named **list = realloc(named->list, (named->count + 1) * sizeof(list[0]));
    Control__Named *entry = malloc(sizeof(*entry));

    if (list != NULL)
        named->list = list;
    if (list == NULL || entry == NULL) {
        free(entry);
        return -ENOMEM;
    }
    control__named__init(entry);
    entry->name = strdup(name);
    entry->text = strdup(text);
    list[named->count++] = entry;
    return entry->name != NULL && entry->text != NULL ? 0 : -ENOMEM;
}

/* A list's item with a comma in it, say, is one in the file and two after --set. */
static bool reads_back(const struct rill_config *config, const char *name, const char *text,
                       char *buf)
{
    struct rill_config *again = rill_config_create(rill_config_schema(config), NULL);
    bool same = again != NULL && rill_config_set(again, name, text, "", NULL) == 0 &&
                strcmp(rill_config_text(again, name, buf, VALUE_BYTES), text) == 0;

    rill_config_destroy(again);
    return same;
}

static int name_all(const struct rill_config *config, struct named *named, struct rill_error *err)
{
    const struct rill_option *option = rill_config_schema(config);
    char *text = malloc(VALUE_BYTES), *again = malloc(VALUE_BYTES);
    int rc = text != NULL && again != NULL ? 0 : rill_error_set(err, -ENOMEM, "no memory");

    for (; rc == 0 && option->name != NULL; option++) {
        if (strcmp(rill_config_source(config, option->name), "default") == 0)
            continue;
        rill_config_text(config, option->name, text, VALUE_BYTES);
        if (strlen(text) == VALUE_BYTES - 1 || !reads_back(config, option->name, text, again))
            rc = rill_error_set(err, -EINVAL,
                                "%s: %s: a value that can't be sent as text (64 KiB at most, and "
                                "no comma or bracket in a list's items)",
                                rill_config_source(config, option->name), option->name);
        else if (add_named(named, option->name, text) != 0)
            rc = rill_error_set(err, -ENOMEM, "no memory");
    }
    free(again);
    free(text);
    return rc;
}

/* The file that the loader found, as the dynamic linker knows it. */
static const char *image_path(const struct rill_nf_image *image)
{
    struct link_map *map = NULL;

    return dlinfo(image->handle, RTLD_DI_LINKMAP, &map) == 0 && map != NULL ? map->l_name : "";
}

static int read_image(const struct rill_nf_image *image, ProtobufCBinaryData *data,
                      struct rill_error *err)
{
    const char *path = image_path(image);
    FILE *in = fopen(path, "re");
    struct stat st;
    int rc = 0;

    if (in == NULL || fstat(fileno(in), &st) != 0)
        rc = rill_error_set(err, -errno, "%s: can't be read: %s", path, strerror(errno));
    else if (st.st_size > IMAGE_BYTES_MAX)
        rc = rill_error_set(err, -EFBIG, "%s: larger than %d MB; strip it", path,
                            IMAGE_BYTES_MAX >> 20);
    if (rc == 0) {
        data->len = (size_t)st.st_size;
        data->data = malloc(data->len + 1);
        if (data->data == NULL || fread(data->data, 1, data->len, in) != data->len)
            rc = rill_error_set(err, -EIO, "%s: can't be read whole", path);
    }
    if (in != NULL)
        fclose(in);
    return rc;
}

/* The NF's name, made into one that a deployment can have. */
static void default_name(const char *nf, char name[NAME_MAX_BYTES + 1])
{
    size_t i;

    for (i = 0; i < NAME_MAX_BYTES && nf[i] != '\0'; i++)
        name[i] = isalnum((unsigned char)nf[i]) ? (char)tolower((unsigned char)nf[i]) : '-';
    name[i] = '\0';
}

/* The child's part: the NF's line into the pipe, if it has one. */
static __attribute__((noreturn)) void judge_in_child(const struct rill_nf_input *input, int to)
{
    struct rill_error err = {""};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    if (rill_nf_create(input->image.descriptor, input->nf_config, &err) == NULL &&
        write(to, &err, sizeof(err)) != sizeof(err))
        _exit(1);
    _exit(0);
}

/* The NF itself judges its configuration, as it will in a unit. In a process of its own and for a
 * short time: where it crashes or never comes back, the cluster finds out and says so. */
static int check_nf(const struct rill_nf_input *input, struct rill_error *err)
{
    struct rill_error line;
    struct pollfd fd = {.events = POLLIN};
    int pipe_fds[2], rc = 0;
    pid_t child;

    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return rill_error_set(err, -errno, "no pipe: %s", strerror(errno));
    fflush(NULL);
    child = fork();
    if (child == 0)
        judge_in_child(input, pipe_fds[1]);
    close(pipe_fds[1]);
    fd.fd = pipe_fds[0];
    if (child > 0) {
        if (poll(&fd, 1, CHECK_MS) == 1 && read(fd.fd, &line, sizeof(line)) == sizeof(line))
            rc = rill_error_set(err, -EINVAL, "%s", line.text);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    close(fd.fd);
    return rc;
}

/* --- deploy ---------------------------------------------------------------------------------- */

static int send(const struct request *r, Control__Deploy *deploy, struct rill_error *err)
{
    Control__Message m, *answer = NULL;
    struct rill_client *client;
    char time[RILL_FORMAT_BYTES], command[RILL_PLACE_PATH_BYTES];
    char by[64] = "";
    int rc = rill_client_open(&r->place, &client, err);

    if (rc != 0)
        return rc;
    if (deploy->controllers > 1)
        snprintf(by, sizeof(by), ", %u controllers", deploy->controllers);
    m = rill_client_message_to(client, 0);
    RILL_CONTROL_SET(&m, DEPLOY, deploy, deploy);
    rc = rill_client_ask(client, &m, ANSWER_MS, &answer, err);
    if (rc == 0 && answer->body_case != CONTROL__MESSAGE__BODY_DEPLOYED)
        rc = rill_error_set(err, -EPROTO, "the resource manager's answer is not understood");
    if (rc == 0)
        printf("%s: %s on %u unit%s%s, vni %u, in %s; see `%s`\n", deploy->name, deploy->nf,
               deploy->units, deploy->units == 1 ? "" : "s", by, answer->deployed->vni,
               rill_format_ns(time, answer->deployed->took_ns),
               rill_place_command(&r->place, "status", command));
    rill_control_free(answer);
    rill_client_close(client);
    return rc;
}

static char *or_empty(const char *text)
{
    return (char *)(text != NULL ? text : "");
}

static int deploy_input(const struct request *r, const struct rill_nf_input *input,
                        struct rill_error *err)
{
    Control__Deploy deploy = CONTROL__DEPLOY__INIT;
    struct named settings = {0}, config = {0};
    char name[NAME_MAX_BYTES + 1];
    int rc = check_nf(input, err);

    if (rc == 0)
        rc = name_all(input->settings, &settings, err);
    if (rc == 0)
        rc = name_all(input->nf_config, &config, err);
    if (rc == 0)
        rc = read_image(&input->image, &deploy.image, err);
    if (rc == 0) {
        default_name(input->image.descriptor->name, name);
        deploy.name = r->name != NULL ? (char *)r->name : name;
        deploy.nf = (char *)input->image.descriptor->name;
        deploy.settings = settings.list;
        deploy.n_settings = settings.count;
        deploy.config = config.list;
        deploy.n_config = config.count;
        deploy.units = r->units;
        deploy.controllers = r->controllers;
        deploy.inside_interface = or_empty(r->inside);
        deploy.outside_interface = or_empty(r->outside);
        rc = send(r, &deploy, err);
    }
    free(deploy.image.data);
    free_named(&config);
    free_named(&settings);
    return rc;
}

static int deploy(struct request *r, struct rill_error *err)
{
    struct rill_nf_input input = {0};
    int rc = judge(r, err);

    if (rc == 0)
        rc = rill_nf_input_read(&r->nf, &input, err);
    if (rc == 0)
        rc = deploy_input(r, &input, err);
    rill_nf_input_fini(&input);
    return rc;
}

int rill_cmd_deploy(int argc, char **argv)
{
    struct request request = {.units = UNITS_DEFAULT, .controllers = 1};
    const struct rill_args args = {.table = table, .target = &request, .positional = take_nf};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = deploy(&request, &err);
    rill_args_free_pairs(request.sets, request.set_count);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("deploy", err.text);
}
