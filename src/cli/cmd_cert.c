/* SPDX-License-Identifier: PostgreSQL */
#include "base/text.h"
#include "cli/cert_words.h"
#include "cli/command.h"

#define MOST_WORDS 16

static int wrong_word(const char *word)
{
    const char *names[MOST_WORDS + 1] = { NULL };
    const char *near;
    size_t      count = 0;
    char        shown[64];

    for (const struct cert_word *w = cert_words(); w->word != NULL && count < MOST_WORDS; w++)
        names[count++] = w->word;
    near = text_nearest(word, names);
    text_escape(shown, sizeof shown, bytes_of_string(word));
    if (near != NULL)
        return complain_of_usage("cert: %s: unknown word; did you mean \"%s\"?", shown, near);
    return complain_of_usage("cert: %s: unknown word; `pgtls cert --help` lists them", shown);
}

bool cert_write_help(struct buf *out, const char *word)
{
    const struct cert_word *found = word != NULL ? cert_word_find(word) : NULL;

    if (found != NULL)
        cert_write_usage(out, found);
    else if (word == NULL)
        cert_write_overview(out);
    return word == NULL || found != NULL;
}

int cmd_cert(int argc, char **argv)
{
    const struct cert_word *word;
    struct cert_arguments   arguments;
    int                     status;

    if (argc < 2)
        return complain_of_usage("cert: a word is missing; `pgtls cert --help` lists them");
    if ((word = cert_word_find(argv[1])) == NULL)
        return wrong_word(argv[1]);
    status = cert_arguments_read(&arguments, word, argc - 1, argv + 1);
    return status == EXIT_GOOD ? word->run(&arguments) : status;
}
