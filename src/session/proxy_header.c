/* SPDX-License-Identifier: PostgreSQL */
#include "session/proxy_header.h"

#include "base/reader.h"
#include "base/text.h"

#include <stdio.h>

#define SIGNATURE   BYTES("\r\n\r\n\0\r\nQUIT\n")
#define V1_MOST     107u /* the line with its end: section 2.1 */
#define V2_HEAD_LEN 16u

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21 };
enum { TYPE_SSL = 0x20, TYPE_SSL_VERSION = 0x21, TYPE_SSL_CN = 0x22, TYPE_SSL_CIPHER = 0x23 };
enum { CLIENT_SSL = 1, CLIENT_CERT_CONN = 2, CLIENT_CERT_SESS = 4 };

/* ---- addresses as text ---- */

/* A number of at most `digits` digits, taken off the front; false where there is none. */
static bool take_number(const char **at, unsigned base, unsigned digits, unsigned long most,
                        unsigned long *out)
{
    unsigned long value = 0;
    unsigned      n = 0;

    for (; n < digits; n++, (*at)++) {
        int digit = text_hex_digit((uint8_t)(*at)[0]);

        if (digit < 0 || (unsigned)digit >= base)
            break;
        value = value * base + (unsigned)digit;
    }
    *out = value;
    return n > 0 && value <= most;
}

static bool read_ip4(const char *text, struct proxy_end *end)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned long part;

        if ((i > 0 && *text++ != '.') || !take_number(&text, 10, 3, 255, &part))
            return false;
        end->ip[i] = (uint8_t)part;
    }
    end->ip_len = 4;
    return *text == '\0';
}

/* Groups before and behind "::" (RFC 4291 section 2.2); without an IPv4 tail, which HAProxy
 * does not write. */
static bool read_ip6(const char *text, struct proxy_end *end)
{
    uint16_t groups[8];
    unsigned count = 0;
    int      gap = -1;

    if (text[0] == ':' && text[1] == ':') {
        gap = 0;
        text += 2;
    }
    while (*text != '\0' && count < 8) {
        unsigned long group;

        if (!take_number(&text, 16, 4, 0xffff, &group))
            return false;
        groups[count++] = (uint16_t)group;
        if (text[0] == ':' && text[1] == ':' && gap < 0) {
            gap = (int)count;
            text += 2;
        } else if (text[0] == ':' && text[1] != '\0') {
            text++;
        } else if (*text != '\0') {
            return false;
        }
    }
    if (*text != '\0' || (gap < 0) != (count == 8))
        return false;
    memset(end->ip, 0, sizeof end->ip);
    for (unsigned i = 0; i < count; i++) {
        unsigned at = gap >= 0 && i >= (unsigned)gap ? 8 - count + i : i;

        end->ip[2 * at] = (uint8_t)(groups[i] >> 8);
        end->ip[2 * at + 1] = (uint8_t)groups[i];
    }
    end->ip_len = 16;
    return true;
}

static void write_ip(char out[static 48], const struct proxy_end *end)
{
    int used = 0;

    if (end->ip_len == 4) {
        snprintf(out, 48, "%u.%u.%u.%u", end->ip[0], end->ip[1], end->ip[2], end->ip[3]);
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        used += snprintf(out + used, 48 - (size_t)used, "%s%x", i > 0 ? ":" : "",
                         bytes_u16(end->ip + 2 * i));
}

/* ---- version 1 ---- */

static bool read_port(const char *text, uint16_t *port)
{
    unsigned long value;

    if (!take_number(&text, 10, 5, UINT16_MAX, &value))
        return false;
    *port = (uint16_t)value;
    return *text == '\0';
}

/* "TCP4 1.2.3.4 5.6.7.8 1111 5432", cut at its spaces. */
static bool read_words(struct proxy_header *out, char *line)
{
    char *words[5], *at = line;
    bool  is_6;

    if (strncmp(line, "UNKNOWN", 7) == 0 && (line[7] == '\0' || line[7] == ' '))
        return true;
    for (size_t i = 0; i < 5; i++) {
        words[i] = at;
        at = strchr(at, ' ');
        if ((at == NULL) != (i == 4))
            return false;
        if (at != NULL)
            *at++ = '\0';
    }
    is_6 = strcmp(words[0], "TCP6") == 0;
    if (!is_6 && strcmp(words[0], "TCP4") != 0)
        return false;
    return (is_6 ? read_ip6 : read_ip4)(words[1], &out->source) &&
           (is_6 ? read_ip6 : read_ip4)(words[2], &out->destination) &&
           read_port(words[3], &out->source.port) &&
           read_port(words[4], &out->destination.port);
}

static enum proxy_header_verdict read_v1(struct proxy_header *out, struct bytes *in)
{
    char           line[V1_MOST + 1];
    struct bytes   front = bytes_first(*in, V1_MOST);
    const uint8_t *end = memchr(front.p, '\n', front.len);
    size_t         len;

    if (end == NULL)
        return front.len < V1_MOST ? PROXY_HEADER_WANT_MORE : PROXY_HEADER_BAD;
    len = (size_t)(end - front.p) + 1;
    if (len < 8 || end[-1] != '\r' || memchr(front.p, '\0', len) != NULL)
        return PROXY_HEADER_BAD;
    memcpy(line, front.p, len - 2);
    line[len - 2] = '\0';
    if (!read_words(out, line + strlen("PROXY ")))
        return PROXY_HEADER_BAD;
    bytes_skip(in, len);
    return PROXY_HEADER_DONE;
}

/* ---- version 2 ---- */

static void read_end(struct reader *r, struct proxy_end *end, size_t ip_len)
{
    struct bytes ip = reader_bytes(r, ip_len);

    if (ip.p == NULL)
        return;
    memcpy(end->ip, ip.p, ip_len);
    end->ip_len = ip_len;
}

static enum proxy_header_verdict read_v2(struct proxy_header *out, struct bytes *in)
{
    struct reader r;
    size_t        len, ip_len;
    uint8_t       command, family;

    if (in->len < V2_HEAD_LEN)
        return PROXY_HEADER_WANT_MORE;
    command = in->p[12];
    family = in->p[13];
    len = V2_HEAD_LEN + bytes_u16(in->p + 14);
    if ((command != V2_LOCAL && command != V2_PROXY) || len > PROXY_HEADER_MOST)
        return PROXY_HEADER_BAD;
    if (in->len < len)
        return PROXY_HEADER_WANT_MORE;
    r = reader_of(bytes_of(in->p + V2_HEAD_LEN, len - V2_HEAD_LEN));
    if (command == V2_PROXY && (family == FAMILY_TCP4 || family == FAMILY_TCP6)) {
        ip_len = family == FAMILY_TCP4 ? 4 : 16;
        read_end(&r, &out->source, ip_len);
        read_end(&r, &out->destination, ip_len);
        out->source.port = reader_u16(&r);
        out->destination.port = reader_u16(&r);
    }
    if (!reader_ok(&r))
        return PROXY_HEADER_BAD;
    bytes_skip(in, len);
    return PROXY_HEADER_DONE;
}

static bool starts_as(struct bytes in, struct bytes word)
{
    size_t n = in.len < word.len ? in.len : word.len;

    return bytes_equal(bytes_first(in, n), bytes_first(word, n));
}

enum proxy_header_verdict proxy_header_read(struct proxy_header *out,
                                            enum proxy_protocol wanted, struct bytes *in)
{
    *out = (struct proxy_header){ 0 };
    if (wanted != PROXY_PROTOCOL_V2 && starts_as(*in, BYTES("PROXY ")))
        return in->len < 6 ? PROXY_HEADER_WANT_MORE : read_v1(out, in);
    if (wanted != PROXY_PROTOCOL_V1 && starts_as(*in, SIGNATURE))
        return in->len < SIGNATURE.len ? PROXY_HEADER_WANT_MORE : read_v2(out, in);
    return PROXY_HEADER_BAD;
}

/* ---- writing ---- */

static void write_v1(struct buf *out, const struct proxy_header *header)
{
    char source[48], destination[48];

    if (header->source.ip_len == 0 || header->source.ip_len != header->destination.ip_len) {
        buf_put(out, BYTES("PROXY UNKNOWN\r\n"));
        return;
    }
    write_ip(source, &header->source);
    write_ip(destination, &header->destination);
    buf_put_format(out, "PROXY TCP%c %s %s %u %u\r\n", header->source.ip_len == 4 ? '4' : '6',
                   source, destination, header->source.port, header->destination.port);
}

static void put_tlv(struct buf *out, uint8_t type, const char *text)
{
    struct bytes value;

    if (text == NULL)
        return;
    value = bytes_first(bytes_of_string(text), 128);
    buf_put_u8(out, type);
    buf_put_u16(out, (uint16_t)value.len);
    buf_put(out, value);
}

static void put_tls(struct buf *out, const struct proxy_header_tls *tls)
{
    struct buf inner = BUF_LIMIT(512);
    bool       shown = tls->common_name != NULL;

    buf_put_u8(&inner,
               (uint8_t)(CLIENT_SSL | (shown ? CLIENT_CERT_CONN | CLIENT_CERT_SESS : 0)));
    buf_put_u32(&inner, shown && tls->is_verified ? 0 : 1); /* 0: verified */
    put_tlv(&inner, TYPE_SSL_VERSION, tls->version);
    put_tlv(&inner, TYPE_SSL_CIPHER, tls->cipher);
    put_tlv(&inner, TYPE_SSL_CN, tls->common_name);
    buf_put_u8(out, TYPE_SSL);
    buf_put_u16(out, (uint16_t)inner.len);
    buf_put(out, buf_bytes(&inner));
    buf_fini(&inner);
}

static void write_v2(struct buf *out, const struct proxy_header *header,
                     const struct proxy_header_tls *tls)
{
    const struct proxy_end *source = &header->source, *destination = &header->destination;
    bool       is_known = source->ip_len > 0 && source->ip_len == destination->ip_len;
    struct buf body = BUF_LIMIT(PROXY_HEADER_MOST);

    if (is_known) {
        buf_put(&body, bytes_of(source->ip, source->ip_len));
        buf_put(&body, bytes_of(destination->ip, destination->ip_len));
        buf_put_u16(&body, source->port);
        buf_put_u16(&body, destination->port);
    }
    if (tls != NULL && tls->version != NULL)
        put_tls(&body, tls);
    buf_put(out, SIGNATURE);
    buf_put_u8(out, V2_PROXY);
    buf_put_u8(out, (uint8_t)(!is_known ? 0 : source->ip_len == 4 ? FAMILY_TCP4 : FAMILY_TCP6));
    buf_put_u16(out, (uint16_t)body.len);
    buf_put(out, buf_bytes(&body));
    out->failed |= body.failed;
    buf_fini(&body);
}

void proxy_header_write(struct buf *out, enum proxy_protocol version,
                        const struct proxy_header *header, const struct proxy_header_tls *tls)
{
    if (version == PROXY_PROTOCOL_V1)
        write_v1(out, header);
    else
        write_v2(out, header, tls);
}
