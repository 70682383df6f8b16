/* SPDX-License-Identifier: PostgreSQL */
/*
 * pgtls/pgtls.h - all of the library
 */
#ifndef PGTLS_PGTLS_H
#define PGTLS_PGTLS_H

#include "pgtls/buffer.h"
#include "pgtls/cert.h"
#include "pgtls/error.h"
#include "pgtls/gate.h"
#include "pgtls/tls.h"
#include "pgtls/version.h"

#endif
