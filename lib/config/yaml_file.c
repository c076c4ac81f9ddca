#include "lib/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/text.h"
#include "lib/config/values.h"
#include "lib/config/yaml_tree.h"

enum { FILE_BYTES_MAX = 1 << 20, NAME_BYTES = 120 };

struct rill_config_file {
    char name[NAME_BYTES + 4]; /* for errors: the path, or its end */
    struct rill_yaml_tree tree;
};

static void name_file(struct rill_config_file *file, const char *path)
{
    size_t bytes = strlen(path);

    if (bytes > NAME_BYTES)
        snprintf(file->name, sizeof(file->name), "...%s", path + bytes - NAME_BYTES);
    else
        snprintf(file->name, sizeof(file->name), "%s", path);
    for (char *c = file->name; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

/* The whole file, at most one byte more than it may have. */
static int read_bytes(const char *name, const char *path, char **text, size_t *bytes,
                      struct rill_error *err)
{
    FILE *in = fopen(path, "re");
    int rc = 0;

    if (in == NULL)
        return rill_error_set(err, -errno, "%s: cannot open it: %s", name, strerror(errno));
    *text = malloc(FILE_BYTES_MAX + 1);
    if (*text == NULL) {
        fclose(in);
        return rill_error_set(err, -ENOMEM, "%s: no memory to read it", name);
    }
    *bytes = fread(*text, 1, FILE_BYTES_MAX + 1, in);
    if (ferror(in))
        rc = rill_error_set(err, errno != 0 ? -errno : -EIO, "%s: cannot read it: %s", name,
                            strerror(errno));
    else if (*bytes > FILE_BYTES_MAX)
        rc = rill_error_set(
            err, -EINVAL, "%s: larger than 1 MB; is that the path of a configuration file?", name);
    fclose(in);
    return rc;
}

static bool allowed(unsigned c)
{
    if (c == '\t' || c == '\n' || c == '\r')
        return true;
    return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x2028 && c != 0x2029 && c != 0xfeff &&
           c != 0xfffe && c != 0xffff;
}

/* Before YAML sees it, so that such errors have a line, too. */
static int check_characters(const char *name, const char *text, size_t bytes,
                            struct rill_error *err)
{
    size_t line = 1, length;

    for (size_t i = 0; i < bytes; i += length) {
        unsigned c = 0;

        length = rill_utf8_character(text + i, bytes - i, &c);
        if (length == 0)
            return rill_error_set(err, -EINVAL, "%s:%zu: not UTF-8; save the file as UTF-8", name,
                                  line);
        if (c == 0)
            return rill_error_set(err, -EINVAL, "%s:%zu: a NUL byte; this is no text file", name,
                                  line);
        if (!allowed(c))
            return rill_error_set(err, -EINVAL, "%s:%zu: control character U+%04X; leave it out",
                                  name, line, c);
        if (c == '\n' || (c == '\r' && (i + 1 == bytes || text[i + 1] != '\n')))
            line++;
    }
    return 0;
}

static int read_file(struct rill_config_file *file, const char *path, struct rill_error *err)
{
    static const char bom[] = "\xef\xbb\xbf";
    const char *start;
    char *text = NULL;
    size_t bytes = 0;
    int rc = read_bytes(file->name, path, &text, &bytes, err);

    if (rc == 0) {
        start = text;
        if (bytes >= 3 && memcmp(text, bom, 3) == 0) {
            start += 3;
            bytes -= 3;
        }
        rc = check_characters(file->name, start, bytes, err);
        if (rc == 0)
            rc = rill_yaml_tree_read(&file->tree, start, bytes, err);
    }
    free(text);
    return rc;
}

static int open_file(const char *path, enum rill_yaml_kind kind, struct rill_config_file **file,
                     struct rill_error *err)
{
    struct rill_config_file *made = calloc(1, sizeof(*made));
    int rc;

    *file = NULL;
    if (made == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for a configuration file");
    name_file(made, path);
    made->tree.name = made->name;
    made->tree.kind = kind;
    rc = read_file(made, path, err);
    if (rc != 0) {
        rill_config_file_close(made);
        return rc;
    }
    *file = made;
    return 0;
}

int rill_config_file_open(const char *path, struct rill_config_file **file, struct rill_error *err)
{
    return open_file(path, RILL_YAML_DEPLOYMENT_FILE, file, err);
}

int rill_config_cluster_file_open(const char *path, struct rill_config_file **file,
                                  struct rill_error *err)
{
    return open_file(path, RILL_YAML_CLUSTER_FILE, file, err);
}

void rill_config_file_close(struct rill_config_file *file)
{
    if (file == NULL)
        return;
    rill_yaml_tree_clear(&file->tree);
    free(file);
}

const char *rill_config_file_nf(const struct rill_config_file *file)
{
    return file->tree.nf;
}

static int apply_text(const struct rill_option *option, const struct rill_yaml_entry *entry,
                      const char *source, struct rill_config *config, struct rill_error *err)
{
    bool wants_plain = option->type == RILL_OPT_BOOL || option->type == RILL_OPT_U64 ||
                       option->type == RILL_OPT_DOUBLE;

    if (option->type == RILL_OPT_LIST)
        return rill_error_set(err, -EINVAL, "%s: %s: one value where a list belongs; write [%s]",
                              source, entry->key, rill_show(entry->text).text);
    if (wants_plain && entry->quoted)
        return rill_error_set(err, -EINVAL, "%s: %s: text in quotes where %s belongs", source,
                              entry->key,
                              option->type == RILL_OPT_BOOL ? "true or false" : "a number");
    return rill_config_set(config, entry->key, entry->text, source, err);
}

static int apply_entry(const struct rill_config_file *file, const struct rill_yaml_entry *entry,
                       struct rill_config *config, struct rill_error *err)
{
    char key_source[sizeof(file->name) + 24], source[sizeof(file->name) + 24];
    const struct rill_option *option;

    snprintf(key_source, sizeof(key_source), "%s:%zu", file->name, entry->key_line);
    snprintf(source, sizeof(source), "%s:%zu", file->name, entry->line);
    option = rill_config_find(config, entry->key, key_source, err);
    if (option == NULL)
        return -EINVAL;
    if (entry->is_list)
        return rill_config_set_items(config, entry->key, (const char *const *)entry->items,
                                     entry->count, source, err);
    if (entry->text == NULL)
        return rill_error_set(err, -EINVAL, "%s: %s: no value; give one or remove the line",
                              key_source, entry->key);
    return apply_text(option, entry, source, config, err);
}

int rill_config_file_apply(const struct rill_config_file *file, const char *section,
                           struct rill_config *config, struct rill_error *err)
{
    enum rill_yaml_section which = 0;
    int rc = 0;

    while (which < RILL_YAML_SECTIONS && strcmp(section, rill_yaml_section_name(which)) != 0)
        which++;
    if (which == RILL_YAML_SECTIONS)
        return rill_error_set(err, -EINVAL, "%s: no such section: %s", file->name, section);
    if (file->tree.section_line[which] != 0 && rill_config_schema(config)->name == NULL)
        return rill_error_set(err, -EINVAL, "%s:%zu: %s: there are no options here; remove it",
                              file->name, file->tree.section_line[which], section);
    for (size_t i = 0; i < file->tree.count && rc == 0; i++)
        if (file->tree.entries[i].section == which)
            rc = apply_entry(file, &file->tree.entries[i], config, err);
    return rc;
}
