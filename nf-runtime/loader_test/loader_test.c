#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "nf-runtime/loader.h"
#include "nf-runtime/loader_elf.h"

enum { FILES_MAX = 8 };

/* A folder that is gone after the test, and the files in it. */
struct folder {
    char path[64];
    char *files[FILES_MAX];
    unsigned n;
};

static void folder_make(struct folder *folder)
{
    *folder = (struct folder){.path = "/tmp/rill-loader-test-XXXXXX"};
    assert_non_null(mkdtemp(folder->path));
}

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static const char *folder_file(struct folder *folder, const char *name, const void *data,
                               size_t bytes)
{
    char *path;

    assert_true(folder->n < FILES_MAX);
    assert_true(asprintf(&path, "%s/%s", folder->path, name) > 0);
    folder->files[folder->n++] = path;
    write_file(path, data, bytes);
    return path;
}

static void folder_remove(struct folder *folder)
{
    for (unsigned i = 0; i < folder->n; i++) {
        unlink(folder->files[i]);
        free(folder->files[i]);
    }
    assert_int_equal(rmdir(folder->path), 0);
}

/* Loading it must fail, with one line that holds all `parts` (up to NULL). */
static void refused(const char *name, const char *search, const char *const *parts)
{
    struct rill_nf_image image = {.handle = &image};
    struct rill_error err = {.text = ""};

    assert_true(rill_nf_load(name, search, &image, &err) < 0);
    assert_null(image.handle);
    assert_null(image.descriptor);
    assert_null(strchr(err.text, '\n'));
    for (; *parts != NULL; parts++)
        if (strstr(err.text, *parts) == NULL)
            fail_msg("no '%s' in: %s", *parts, err.text);
}

static void test_good(void **unused)
{
    struct rill_nf_image image;
    struct rill_error err = {.text = ""};

    (void)unused;
    if (rill_nf_load("good", "/nowhere::" RILL_TEST_NFS, &image, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(image.descriptor->name, "variant");
    rill_nf_unload(&image);
    assert_null(image.handle);
    assert_int_equal(rill_nf_load(RILL_TEST_NFS "/good.so", NULL, &image, &err), 0);
    rill_nf_unload(&image);
}

static void test_faults(void **unused)
{
    static const struct {
        const char *name;
        const char *parts[4];
    } rows[] = {
        {"mutable_global", {"mutable_global.so", "packets_seen", "state table"}},
        {"unset_global", {"unset_global.so", "packets_seen"}},
        {"static_local", {"static_local.so", "packets_here"}},
        {"thread_local", {"thread_local.so", "packets_seen", "thread-local"}},
        {"pointer", {"pointer.so", "last_name"}},
        {"other_abi", {"other_abi.so", " 44,", " 3;"}},
        {"no_entry", {"no_entry.so", "rill_nf_entry", "RILL_NF("}},
        {"no_init", {"no_init.so", "'variant'", "no init"}},
        {"bad_option", {"bad_option.so", "'choice'", "choices"}},
        {"unresolved", {"unresolved.so", "nobody_has_this_function"}},
#ifdef RILL_TEST_STRIPPED
        {"stripped_mutable_global", {"stripped", ".data"}},
        {"stripped_unset_global", {"packets_seen"}}, /* exported, so its name stays */
        {"stripped_thread_local", {"stripped", ".tbss"}},
        {"half_stripped_mutable_global", {"stripped", ".data"}},
        {"half_stripped_thread_local", {"stripped", ".tbss"}},
#endif
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refused(rows[i].name, RILL_TEST_NFS, rows[i].parts);
}

static void test_good_stripped(void **unused)
{
    (void)unused;
#ifdef RILL_TEST_STRIPPED
    static const char *const names[] = {"stripped_good", "half_stripped_good"};

    for (int i = 0; i < 2; i++) {
        struct rill_nf_image image;
        struct rill_error err = {.text = ""};

        if (rill_nf_load(names[i], RILL_TEST_NFS, &image, &err) != 0)
            fail_msg("%s", err.text);
        rill_nf_unload(&image);
    }
#else
    skip();
#endif
}

static void test_not_found_lists_names_once_sorted(void **unused)
{
    struct folder one, two;
    char search[160], listed[160];

    (void)unused;
    folder_make(&one);
    folder_make(&two);
    folder_file(&one, "nat.so", "", 0);
    folder_file(&one, "README.md", "", 0);
    folder_file(&one, ".so", "", 0);
    folder_file(&two, "lb.so", "", 0);
    folder_file(&two, "nat.so", "", 0);
    folder_file(&two, "zebra.so", "", 0);
    snprintf(search, sizeof(search), "%s:%s", one.path, two.path);
    refused("gnat", search, (const char *const[]){"'gnat'", search, NULL});
    refused("gnat", search, (const char *const[]){"there are: lb, nat, zebra", NULL});
    refused("", search, (const char *const[]){"''", "lb, nat, zebra", NULL});
    snprintf(listed, sizeof(listed), "'gnat' not found in %s; there are: nat", one.path);
    refused("gnat", one.path, (const char *const[]){listed, NULL});
    folder_remove(&one);
    folder_remove(&two);
    refused("gnat", NULL, (const char *const[]){"gnat", "no folder", "none", NULL});
    refused("gnat", "/nowhere", (const char *const[]){"gnat", "/nowhere", "none", NULL});
}

static void test_long_names(void **unused)
{
    static char name[10000];

    (void)unused;
    memset(name, 'x', sizeof(name) - 1);
    refused(name, RILL_TEST_NFS, (const char *const[]){"not found", "good", NULL});
    name[0] = '/';
    refused(name, RILL_TEST_NFS, (const char *const[]){"4095", NULL});
    refused("x", name, (const char *const[]){"'x'", "none", NULL});
}

static void test_no_images(void **unused)
{
    struct folder folder;
    const char *path;

    (void)unused;
    folder_make(&folder);
    path = folder_file(&folder, "empty.so", "", 0);
    refused(path, NULL, (const char *const[]){path, "not a shared object", NULL});
    path = folder_file(&folder, "text.so", "#!/bin/sh\n", 10);
    refused(path, NULL, (const char *const[]){path, "not a shared object", NULL});
    path = folder_file(&folder, "magic.so", "\177ELF", 4);
    refused(path, NULL, (const char *const[]){path, "not a shared object", NULL});
    refused(folder.path, NULL, (const char *const[]){folder.path, "not a regular file", NULL});
    refused("/nowhere/x.so", NULL, (const char *const[]){"/nowhere/x.so", "No such file", NULL});
    /* the program itself: an ELF file without RILL_NF and with variables */
    refused("/proc/self/exe", NULL, (const char *const[]){"/proc/self/exe", NULL});
    folder_remove(&folder);
}

static uint8_t *read_good(size_t *bytes)
{
    FILE *file = fopen(RILL_TEST_NFS "/good.so", "rb");
    struct stat st;
    uint8_t *data;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    *bytes = (size_t)st.st_size;
    data = malloc(*bytes);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    return data;
}

/* Cut and damaged images: refused or not, but never read past their end. */
static void test_damaged_images(void **unused)
{
    enum { ROUNDS = 1500, HEADER = 64 };
    struct rill_rng rng;
    struct folder folder;
    size_t bytes;
    uint8_t *good = read_good(&bytes), *bad = malloc(bytes);
    const char *path;
    uint64_t sections;

    (void)unused;
    assert_non_null(bad);
    rill_rng_seed(&rng, 1);
    folder_make(&folder);
    path = folder_file(&folder, "x.so", good, bytes);
    assert_int_equal(rill_loader_elf_check(path, path, NULL), 0);
    memcpy(&sections, good + 40, sizeof(sections));
    for (int i = 0; i < ROUNDS; i++) {
        size_t keep = i % 4 == 0 ? rill_rng_below(&rng, (uint32_t)bytes) : bytes;

        memcpy(bad, good, bytes);
        for (int k = 0; k < 4; k++) {
            /* Aimed at what is parsed: the file's header and the table of sections. */
            size_t at = rill_rng_below(&rng, 4) == 0
                            ? rill_rng_below(&rng, HEADER)
                            : sections + rill_rng_below(&rng, (uint32_t)(bytes - sections));

            bad[at] = (uint8_t)rill_rng_u64(&rng);
        }
        write_file(path, bad, keep);
        (void)rill_loader_elf_check(path, path, NULL);
    }
    write_file(path, good, sections);
    assert_true(rill_loader_elf_check(path, path, NULL) < 0);
    free(good);
    free(bad);
    folder_remove(&folder);
}

/* --- images that come as bytes ---------------------------------------------------------------- */

static void *read_whole(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    void *data;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(file);
    rewind(file);
    data = malloc(*bytes);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    return data;
}

static int load_bytes(const char *variant, struct rill_nf_image *image, struct rill_error *err)
{
    char path[256];
    size_t bytes;
    void *data;
    int result;

    snprintf(path, sizeof(path), RILL_TEST_NFS "/%s.so", variant);
    data = read_whole(path, &bytes);
    result = rill_nf_load_bytes("the NF", data, bytes, image, err);
    free(data);
    return result;
}

static void bytes_refused(const char *variant, const char *part)
{
    struct rill_nf_image image = {.handle = &image};
    struct rill_error err = {.text = ""};

    assert_true(load_bytes(variant, &image, &err) < 0);
    assert_null(image.handle);
    if (strstr(err.text, "the NF") == NULL || strstr(err.text, part) == NULL ||
        strstr(err.text, "/proc") != NULL)
        fail_msg("no 'the NF', no '%s', or a path in: %s", part, err.text);
}

static void test_bytes(void **unused)
{
    struct rill_nf_image image, other;
    struct rill_error err = {.text = ""};
    int before = dup(0), after;

    (void)unused;
    close(before);
    if (load_bytes("good", &image, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(image.descriptor->name, "variant");
    assert_int_equal(load_bytes("good", &other, &err), 0);
    assert_ptr_not_equal(other.handle, image.handle); /* not the first one once more */
    rill_nf_unload(&other);
    rill_nf_unload(&image);
    rill_nf_unload(&image);
    bytes_refused("mutable_global", "packets_seen");
    bytes_refused("unresolved", "nobody_has_this_function");
    bytes_refused("no_entry", "rill_nf_entry");
    bytes_refused("no_init", "no init");
    assert_true(rill_nf_load_bytes("x", "", 0, &image, &err) < 0);
    assert_non_null(strstr(err.text, "NF x: not a shared object"));
    after = dup(0);
    close(after);
    assert_int_equal(after, before); /* nothing stays open */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_good_stripped),
        cmocka_unit_test(test_not_found_lists_names_once_sorted),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_no_images),
        cmocka_unit_test(test_damaged_images),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
