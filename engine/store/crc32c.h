/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - CRC-32C (Castagnoli, RFC 3720 appendix B.4): finds any burst of up to 32 bits. */
#ifndef FLO_ENGINE_STORE_CRC32C_H
#define FLO_ENGINE_STORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue crc (0 to begin) over len bytes. Any thread. */
uint32_t flo_crc32c(uint32_t crc, const void *data, size_t len);

#endif
