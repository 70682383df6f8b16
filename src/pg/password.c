/* SPDX-License-Identifier: PostgreSQL */
#include "pg/password.h"

void password_write(struct buf *out, struct bytes text)
{
    buf_put_u8(out, 'p');
    buf_put_u32(out, (uint32_t)(4 + text.len + 1));
    buf_put(out, text);
    buf_put_u8(out, 0);
}
