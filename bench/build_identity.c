#include "build_identity.h"

#include "build_info.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A section of its own that the digest leaves out, and of one length for all commits: nothing else moves when the commit's
 * name changes. The name of the section is a C identifier, so that no linker merges it into another. Not const: a section
 * of constants would have them propagated into the code. */
#define COMMIT_SECTION "attnbench_commit"
static char commit[64] __attribute__((section(COMMIT_SECTION), used)) = BUILD_COMMIT;
_Static_assert(sizeof BUILD_COMMIT <= sizeof commit, "the name of the commit is too long");

const char *build_commit(void) { return commit; }

static bool is_left_out(const char *name) { return !strcmp(name, COMMIT_SECTION) || !strcmp(name, ".note.gnu.build-id"); }

/* Every loaded section with contents. The file is this program, which the linker wrote; bounds are checked all the same. */
static bool add_sections(struct digest *digest, const unsigned char *file, size_t bytes)
{
  const Elf64_Ehdr *head = (const void *)file;
  if (bytes < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) || head->e_ident[EI_CLASS] != ELFCLASS64 ||
      head->e_shentsize != sizeof(Elf64_Shdr) || head->e_shoff % _Alignof(Elf64_Shdr) || head->e_shoff > bytes ||
      (bytes - head->e_shoff) / sizeof(Elf64_Shdr) < head->e_shnum || head->e_shstrndx >= head->e_shnum)
    return false;
  const Elf64_Shdr *section = (const void *)(file + head->e_shoff), *names = &section[head->e_shstrndx];
  if (names->sh_offset > bytes || names->sh_size > bytes - names->sh_offset || !names->sh_size ||
      file[names->sh_offset + names->sh_size - 1])
    return false;
  for (int i = 0; i < head->e_shnum; i++) {
    const Elf64_Shdr *s = &section[i];
    if (!(s->sh_flags & SHF_ALLOC) || s->sh_type == SHT_NOBITS) continue;
    if (s->sh_name >= names->sh_size || s->sh_offset > bytes || s->sh_size > bytes - s->sh_offset) return false;
    const char *name = (const char *)file + names->sh_offset + s->sh_name;
    if (is_left_out(name)) continue;
    digest_add_text(digest, name);
    digest_add(digest, file + s->sh_offset, s->sh_size);
  }
  return true;
}

const char *build_digest(char text[DIGEST_TEXT_BYTES])
{
  const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  struct stat st;
  struct digest digest = digest_begin();
  *text = 0;
  if (fd < 0) return text;
  if (!fstat(fd, &st) && st.st_size > 0) {
    void *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file != MAP_FAILED) {
      if (add_sections(&digest, file, (size_t)st.st_size)) digest_text(&digest, text);
      munmap(file, (size_t)st.st_size);
    }
  }
  close(fd);
  return text;
}
