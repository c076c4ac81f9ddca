#include "nf-runtime/loader_elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 256 << 20, RUNTIME_DATA_BYTES = 8 };

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
#error "say which ELF machine this is"
#endif

struct elf {
    const char *name; /* for lines */
    uint8_t *bytes;
    size_t size;
    const Elf64_Shdr *sections;
    unsigned sections_n;
    unsigned names; /* the section that holds their names */
};

/* --- reading ---------------------------------------------------------------------------------- */

static int read_fd(int fd, struct elf *elf, struct rill_error *err)
{
    struct stat st;
    size_t done = 0;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return rill_error_set(err, -EINVAL, "NF %s: not a regular file", elf->name);
    if (st.st_size > FILE_BYTES_MAX)
        return rill_error_set(err, -EFBIG, "NF %s: larger than 256 MiB; that is no NF", elf->name);
    elf->bytes = malloc((size_t)st.st_size + 1);
    if (elf->bytes == NULL)
        return rill_error_set(err, -ENOMEM, "NF %s: no memory to read it", elf->name);
    while (done < (size_t)st.st_size) {
        ssize_t n = read(fd, elf->bytes + done, (size_t)st.st_size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rill_error_set(err, -errno, "NF %s: can't read it: %s", elf->name,
                                  strerror(errno));
        if (n == 0)
            break;
        done += (size_t)n;
    }
    elf->size = done;
    return 0;
}

static int read_file(const char *path, struct elf *elf, struct rill_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int result;

    if (fd < 0)
        return rill_error_set(err, -errno, "NF %s: can't open it: %s", elf->name, strerror(errno));
    result = read_fd(fd, elf, err);
    close(fd);
    return result;
}

/* --- structure: nothing in the file is trusted -------------------------------------------------
 */

static bool in_file(const struct elf *elf, uint64_t offset, uint64_t bytes)
{
    return offset <= elf->size && bytes <= elf->size - offset;
}

static bool is_table(const struct elf *elf, const Elf64_Shdr *section, size_t entry)
{
    return section->sh_type != SHT_NOBITS && section->sh_entsize == entry &&
           section->sh_offset % 8 == 0 && in_file(elf, section->sh_offset, section->sh_size);
}

/* The string at `offset` of string table `section`; "" if there is none. */
static const char *string_at(const struct elf *elf, unsigned section, uint64_t offset)
{
    const Elf64_Shdr *s;
    const char *text;

    if (section >= elf->sections_n)
        return "";
    s = &elf->sections[section];
    if (s->sh_type != SHT_STRTAB || !in_file(elf, s->sh_offset, s->sh_size) || offset >= s->sh_size)
        return "";
    text = (const char *)elf->bytes + s->sh_offset + offset;
    return memchr(text, '\0', s->sh_size - offset) != NULL ? text : "";
}

static int open_elf(struct elf *elf, struct rill_error *err)
{
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)(const void *)elf->bytes;

    if (elf->size < sizeof(*head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
        return rill_error_set(err, -ENOEXEC,
                              "NF %s: not a shared object (no ELF header); build it with gcc "
                              "-shared -fPIC",
                              elf->name);
    if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_ident[EI_DATA] != ELFDATA2LSB ||
        head->e_machine != MACHINE || head->e_type != ET_DYN)
        return rill_error_set(err, -ENOEXEC,
                              "NF %s: not a shared object for this machine; build it here with gcc "
                              "-shared -fPIC",
                              elf->name);
    if (head->e_shnum == 0 || head->e_shentsize != sizeof(Elf64_Shdr) || head->e_shoff % 8 != 0 ||
        !in_file(elf, head->e_shoff, (uint64_t)head->e_shnum * sizeof(Elf64_Shdr)))
        return rill_error_set(err, -ENOEXEC,
                              "NF %s: has no whole table of sections, so it can't be checked for "
                              "mutable globals; build it anew",
                              elf->name);
    elf->sections = (const Elf64_Shdr *)(const void *)(elf->bytes + head->e_shoff);
    elf->sections_n = head->e_shnum;
    elf->names = head->e_shstrndx;
    return 0;
}

/* --- mutable globals -------------------------------------------------------------------------- */

/* Sections that are writable only for the dynamic linker, before or while it loads the image. */
static bool is_linkers(const char *name)
{
    static const char *const names[] = {
        ".data.rel.ro", ".got",   ".got.plt", ".dynamic",       ".init_array",
        ".fini_array",  ".ctors", ".dtors",   ".preinit_array", ".jcr",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool is_mutable(const struct elf *elf, unsigned section)
{
    const Elf64_Shdr *s;

    if (section == SHN_UNDEF || section >= elf->sections_n)
        return false;
    s = &elf->sections[section];
    return (s->sh_flags & SHF_WRITE) != 0 && (s->sh_flags & SHF_ALLOC) != 0 &&
           !is_linkers(string_at(elf, elf->names, s->sh_name));
}

/* What compiler and C runtime put there themselves: not the NF's. */
static bool is_toolchains(const char *symbol, uint64_t bytes)
{
    static const char *const whole[] = {"__dso_handle", "__TMC_END__"};
    static const char *const prefixes[] = {
        "DW.ref.", /* C++: pointers to what unwinds */
        /* sanitizers: descriptors of the NF's own constants, by gcc and by clang */
        "__odr_asan",
        "__asan_",
        "___asan_gen_",
        "__unnamed_",
        "__ubsan_",
        "__sancov_",
    };

    if (strcmp(symbol, "completed.0") == 0 && bytes == 1) /* crtbegin's; an NF may have its own */
        return true;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (strcmp(symbol, whole[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(symbol, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static int refuse(const struct elf *elf, const char *what, const char *name, struct rill_error *err)
{
    return rill_error_set(err, -EPERM,
                          "NF %s: has %s '%s'; units share the image, so keep such data in a state "
                          "table (or in rill_nf_private() for what init derives), or make it const",
                          elf->name, what, name);
}

/* Looks for a variable among the symbols of section `table`. *local: whether it has local symbols.
 */
static int check_symbols(const struct elf *elf, const Elf64_Shdr *table, bool *local,
                         struct rill_error *err)
{
    const Elf64_Sym *symbols = (const Elf64_Sym *)(const void *)(elf->bytes + table->sh_offset);
    size_t n = table->sh_size / sizeof(*symbols);

    for (size_t i = 0; i < n; i++) {
        unsigned type = ELF64_ST_TYPE(symbols[i].st_info);
        const char *name = string_at(elf, table->sh_link, symbols[i].st_name);

        if (type == STT_FUNC || type == STT_OBJECT)
            *local |= ELF64_ST_BIND(symbols[i].st_info) == STB_LOCAL;
        if (type == STT_TLS && symbols[i].st_shndx != SHN_UNDEF)
            return refuse(elf, "the thread-local variable", name, err);
        if (type == STT_OBJECT && is_mutable(elf, symbols[i].st_shndx) &&
            !is_toolchains(name, symbols[i].st_size))
            return refuse(elf, "the mutable global", name, err);
    }
    return 0;
}

/* By sizes alone, where there are no names: beyond what the C runtime has in there itself. */
static int check_sizes(const struct elf *elf, struct rill_error *err)
{
    for (unsigned i = 0; i < elf->sections_n; i++) {
        const Elf64_Shdr *s = &elf->sections[i];
        bool runtime = s->sh_size <= RUNTIME_DATA_BYTES &&
                       s->sh_addralign <= (s->sh_type == SHT_NOBITS ? 1 : RUNTIME_DATA_BYTES);

        if (is_mutable(elf, i) && s->sh_size > 0 && (!runtime || (s->sh_flags & SHF_TLS) != 0))
            return refuse(elf, "mutable globals (their names are stripped) in section",
                          string_at(elf, elf->names, s->sh_name), err);
    }
    return 0;
}

static int check_globals(const struct elf *elf, struct rill_error *err)
{
    bool local = false;

    for (unsigned i = 0; i < elf->sections_n; i++) {
        const Elf64_Shdr *s = &elf->sections[i];

        if ((s->sh_type == SHT_SYMTAB || s->sh_type == SHT_DYNSYM) &&
            is_table(elf, s, sizeof(Elf64_Sym))) {
            int result = check_symbols(elf, s, &local, err);

            if (result != 0)
                return result;
        }
    }
    return local ? 0 : check_sizes(elf, err);
}

int rill_loader_elf_check(const char *path, const char *name, struct rill_error *err)
{
    struct elf elf = {.name = name};
    int result = read_file(path, &elf, err);

    if (result == 0)
        result = open_elf(&elf, err);
    if (result == 0)
        result = check_globals(&elf, err);
    free(elf.bytes);
    return result;
}
