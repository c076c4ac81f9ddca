#include "nf-runtime/loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nf-runtime/loader_elf.h"

enum { PATH_BYTES = 4096, LISTED_MAX = 256 };

/* An NF takes the functions of <rill/nf.h> from the program that loads it. They lie in static
 * libraries, of which a linker takes only what something refers to: this table does. */
typedef void (*rill_api_function)(void);
__attribute__((used)) static const rill_api_function api[] = {
#define F(name) (rill_api_function)(void *)(name)
    F(rill_nf_error),
    F(rill_log),
    F(rill_counter),
    F(rill_count),
    F(rill_table_create),
    F(rill_get_other),
    F(rill_put_other),
    F(rill_flow_restart),
    F(rill_flow_alias),
    F(rill_pool_create),
    F(rill_pool_preserve_ports),
    F(rill_pool_take),
    F(rill_shared_create),
    F(rill_shared_add),
    F(rill_object_declare),
    F(rill_object),
    F(rill_load_error),
    F(rill_load_skip),
    F(rill_record_begin),
    F(rill_record_open),
    F(rill_record_close),
    F(rill_record_number),
    F(rill_record_text),
    F(rill_record_address),
    F(rill_record_time),
    F(rill_record_end),
    F(rill_pkt_ip_bytes),
    F(rill_pkt_set_source),
    F(rill_pkt_set_destination),
    F(rill_pkt_tcp_numbers),
    F(rill_pkt_ip),
    F(rill_pkt_transport),
    F(rill_pkt_payload),
    F(rill_pkt_payload_bytes),
    F(rill_pkt_dscp),
    F(rill_pkt_set_dscp),
    F(rill_pkt_quoted_ends),
    F(rill_pkt_set_quoted_source),
    F(rill_pkt_set_quoted_destination),
    F(rill_config_bool),
    F(rill_config_u64),
    F(rill_config_double),
    F(rill_config_string),
    F(rill_config_enum),
    F(rill_config_range),
    F(rill_config_list),
    F(rill_config_source),
#undef F
};

/* --- which NFs are there ---------------------------------------------------------------------- */

struct listing {
    char *names[LISTED_MAX];
    unsigned n;
};

static void list_folder(const char *folder, struct listing *listing)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    if (dir == NULL)
        return;
    while (listing->n < LISTED_MAX && (entry = readdir(dir)) != NULL) {
        size_t length = strlen(entry->d_name);

        if (length <= 3 || strcmp(entry->d_name + length - 3, ".so") != 0)
            continue;
        listing->names[listing->n] = strndup(entry->d_name, length - 3);
        if (listing->names[listing->n] != NULL)
            listing->n++;
    }
    closedir(dir);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "lb, nat"; a name that stands in two folders once. */
static void print_listing(struct listing *listing, char *text, size_t bytes)
{
    size_t used = 0;

    text[0] = '\0';
    qsort(listing->names, listing->n, sizeof(listing->names[0]), by_name);
    for (unsigned i = 0; i < listing->n; i++) {
        if (i > 0 && strcmp(listing->names[i], listing->names[i - 1]) == 0)
            continue;
        if (used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s", used > 0 ? ", " : "",
                                     listing->names[i]);
    }
    for (unsigned i = 0; i < listing->n; i++)
        free(listing->names[i]);
}

/* --- where the file is ------------------------------------------------------------------------ */

/* The next folder of the list; false at its end. */
static bool next_folder(const char **rest, char folder[PATH_BYTES])
{
    while (*rest != NULL && **rest != '\0') {
        size_t length = strcspn(*rest, ":");
        const char *start = *rest;

        *rest += length + (start[length] == ':');
        if (length == 0 || length >= PATH_BYTES)
            continue;
        memcpy(folder, start, length);
        folder[length] = '\0';
        return true;
    }
    return false;
}

static int not_found(const char *name, const char *search, struct rill_error *err)
{
    struct listing listing = {.n = 0};
    char folder[PATH_BYTES], there[256];

    for (const char *rest = search; next_folder(&rest, folder);)
        list_folder(folder, &listing);
    print_listing(&listing, there, sizeof(there));
    return rill_error_set(err, -ENOENT, "NF '%.64s' not found in %.128s; there are: %s", name,
                          search != NULL && search[0] != '\0' ? search : "no folder",
                          there[0] != '\0' ? there : "none");
}

static int find(const char *name, const char *search, char path[PATH_BYTES], struct rill_error *err)
{
    char folder[PATH_BYTES];
    struct stat st;

    if (strchr(name, '/') != NULL) {
        if ((size_t)snprintf(path, PATH_BYTES, "%s", name) >= PATH_BYTES)
            return rill_error_set(err, -ENAMETOOLONG, "NF: its path is longer than 4095 bytes");
        return 0;
    }
    if (name[0] == '\0')
        return not_found(name, search, err);
    for (const char *rest = search; next_folder(&rest, folder);)
        if ((size_t)snprintf(path, PATH_BYTES, "%s/%s.so", folder, name) < PATH_BYTES &&
            stat(path, &st) == 0)
            return 0;
    return not_found(name, search, err);
}

/* --- loading ---------------------------------------------------------------------------------- */

/* What the linker complained of, with the image's name where it names the file. */
static const char *link_error(const char *path, const char *name, char text[1024])
{
    const char *why = dlerror();
    size_t length = strlen(path);

    if (strncmp(why, path, length) != 0)
        return why;
    snprintf(text, 1024, "%.256s%s", name, why + length);
    return text;
}

static int link_image(const char *path, const char *name, struct rill_nf_image *image,
                      struct rill_error *err)
{
    const struct rill_nf_descriptor *const *entry;
    struct rill_error why;
    char text[1024];
    int result;

    image->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (image->handle == NULL)
        return rill_error_set(
            err, -ENOEXEC,
            "NF: can't link %s; an NF may use <rill/nf.h> as it is here (built for an older one, "
            "build it anew), the C library, and libraries that it is linked with",
            link_error(path, name, text));
    entry = dlsym(image->handle, RILL_NF_SYMBOL);
    if (entry == NULL)
        return rill_error_set(err, -ENOEXEC,
                              "NF %s: exports no '%s'; add RILL_NF(&your_descriptor); to it", name,
                              RILL_NF_SYMBOL);
    result = rill_nf_descriptor_check(*entry, &why);
    if (result != 0)
        return rill_error_set(err, result, "%.200s: %s", name, why.text);
    image->descriptor = *entry;
    return 0;
}

int rill_nf_load(const char *name, const char *search, struct rill_nf_image *image,
                 struct rill_error *err)
{
    char path[PATH_BYTES];
    int result;

    *image = (struct rill_nf_image){.memory = -1};
    result = find(name, search, path, err);
    if (result == 0)
        result = rill_loader_elf_check(path, path, err);
    if (result == 0)
        result = link_image(path, path, image, err);
    if (result != 0)
        rill_nf_unload(image);
    return result;
}

/* A file in memory, as the linker takes only files. */
static int make_file(const char *name, const void *bytes, size_t size, struct rill_error *err)
{
    int fd = memfd_create("nf", MFD_CLOEXEC);

    for (size_t done = 0; fd >= 0 && done < size;) {
        ssize_t n = write(fd, (const char *)bytes + done, size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int code = errno;

            close(fd);
            fd = -1;
            errno = code;
        } else {
            done += (size_t)n;
        }
    }
    return fd >= 0 ? fd
                   : rill_error_set(err, -errno, "NF %s: no memory for its image: %s", name,
                                    strerror(errno));
}

int rill_nf_load_bytes(const char *name, const void *bytes, size_t size,
                       struct rill_nf_image *image, struct rill_error *err)
{
    char path[64];
    int fd = make_file(name, bytes, size, err), result;

    *image = (struct rill_nf_image){.memory = -1};
    if (fd < 0)
        return fd;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    result = rill_loader_elf_check(path, name, err);
    if (result == 0)
        result = link_image(path, name, image, err);
    if (result != 0) {
        rill_nf_unload(image);
        close(fd);
        return result;
    }
    /* Open as long as the image is there: the linker knows an image by its path, and would take the
     * next one under the same number for this one. */
    image->memory = fd;
    return 0;
}

void rill_nf_unload(struct rill_nf_image *image)
{
    if (image->handle != NULL) {
        dlclose(image->handle);
        if (image->memory >= 0)
            close(image->memory);
    }
    *image = (struct rill_nf_image){.memory = -1};
}
