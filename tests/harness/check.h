/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/check.h - what every unit test includes: cmocka in its fixed order
 */
#ifndef PGTLS_HARNESS_CHECK_H
#define PGTLS_HARNESS_CHECK_H

/* cmocka.h needs these before it, in this order */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#undef fail /* base/fail.h has a function of that name */

#include "base/buf.h"

/* Whether the waiting bytes are exactly `expected`. */
#define assert_buf_is(buf, expected)                                                           \
    do {                                                                                       \
        struct bytes want_ = (expected);                                                       \
        struct bytes have_ = buf_bytes(buf);                                                   \
        assert_int_equal(have_.len, want_.len);                                                \
        if (want_.len > 0)                                                                     \
            assert_memory_equal(have_.p, want_.p, want_.len);                                  \
    } while (0)

#endif
