/* SPDX-License-Identifier: PostgreSQL */
#include "redis/resp.h"

/* The line at the front without its CR LF; *taken counts them. */
static enum resp_verdict take_line(struct bytes in, struct bytes *line, size_t *taken)
{
    struct bytes   look = bytes_first(in, RESP_LINE_MOST);
    const uint8_t *end = look.len > 0 ? memchr(look.p, '\n', look.len) : NULL;
    size_t         len;

    if (end == NULL)
        return look.len == RESP_LINE_MOST ? RESP_BROKEN : RESP_SHORT;
    len = (size_t)(end - look.p);
    if (len < 2 || end[-1] != '\r')
        return RESP_BROKEN;
    *line = bytes_of(look.p + 1, len - 2);
    *taken = len + 1;
    return RESP_COMPLETE;
}

/* Digits, or -1 for "nothing"; false where it is another text or more than `most`. */
static bool read_length(struct bytes text, size_t most, size_t *length, bool *is_null)
{
    *length = 0;
    *is_null = bytes_equal(text, BYTES("-1"));
    if (*is_null)
        return true;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *length = *length * 10 + (size_t)(text.p[i] - '0');
        if (*length > most)
            return false;
    }
    return text.len > 0;
}

static enum resp_verdict read_bulk(struct resp_reply *reply, struct bytes *in, size_t head)
{
    struct bytes content = *in;
    size_t       length;

    if (!read_length(reply->text, RESP_BULK_MOST, &length, &reply->is_null))
        return RESP_BROKEN;
    bytes_skip(&content, head);
    reply->text = bytes_first(content, length);
    if (reply->is_null) {
        bytes_skip(in, head);
        return RESP_COMPLETE;
    }
    if (content.len < length + 2)
        return RESP_SHORT;
    if (content.p[length] != '\r' || content.p[length + 1] != '\n')
        return RESP_BROKEN;
    bytes_skip(in, head + length + 2);
    return RESP_COMPLETE;
}

enum resp_verdict resp_read(struct resp_reply *reply, struct bytes *in)
{
    struct bytes      line = { NULL, 0 };
    size_t            head = 0;
    enum resp_verdict verdict;

    *reply = (struct resp_reply){ 0 };
    if (in->len == 0)
        return RESP_SHORT;
    reply->kind = (enum resp_kind)in->p[0];
    if (strchr("+-:$*", in->p[0]) == NULL || in->p[0] == '\0')
        return RESP_BROKEN;
    if ((verdict = take_line(*in, &line, &head)) != RESP_COMPLETE)
        return verdict;
    reply->text = line;
    if (reply->kind == RESP_BULK)
        return read_bulk(reply, in, head);
    if (reply->kind == RESP_ARRAY &&
        !read_length(line, RESP_ITEMS_MOST, &reply->count, &reply->is_null))
        return RESP_BROKEN;
    bytes_skip(in, head);
    return RESP_COMPLETE;
}

bool resp_is_error(const struct resp_reply *reply, const char *word)
{
    size_t len = strlen(word);

    return reply->kind == RESP_ERROR && reply->text.len >= len &&
           memcmp(reply->text.p, word, len) == 0 &&
           (reply->text.len == len || reply->text.p[len] == ' ');
}

void resp_put_command(struct buf *out, const struct bytes *words, size_t count)
{
    buf_put_format(out, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        buf_put_format(out, "$%zu\r\n", words[i].len);
        buf_put(out, words[i]);
        buf_put(out, BYTES("\r\n"));
    }
}
