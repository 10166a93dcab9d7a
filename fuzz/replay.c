/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - runs a fuzz target over a corpus without a fuzzer: every file of the folder given,
 * each from a block of exactly its size so that AddressSanitizer sees the end. Also the empty
 * input, and each file cut in half.
 */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    FUZZ_CHECK(exact);
    if (size)
        memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

/* 1 when path is a file that was run, 0 when it is none. */
static int run_file(const char *path)
{
    struct stat st;
    if (stat(path, &st) || !S_ISREG(st.st_mode))
        return 0;
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file);
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size + 1);
    FUZZ_CHECK(data && fread(data, 1, size, file) == size);
    fclose(file);
    run(data, size);
    run(data, size / 2);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 64;
    }
    DIR *folder = opendir(argv[1]);
    if (!folder) {
        fprintf(stderr, "%s: no such folder\n", argv[1]);
        return 66;
    }
    run(NULL, 0);
    int files = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[4096];
        int len = snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        FUZZ_CHECK(len > 0 && (size_t)len < sizeof path);
        files += run_file(path);
    }
    closedir(folder);
    printf("%d files\n", files);
    return files ? 0 : 66;
}
