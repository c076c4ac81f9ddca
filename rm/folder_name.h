/* Names of folders that nobody may guess who has seen others of them: SipHash-2-4 of a running
 * number, keyed by a seed. (A plain generator would not do: two of its names tell all later ones.)
 */
#ifndef RILL_RM_FOLDER_NAME_H
#define RILL_RM_FOLDER_NAME_H

#include <stdint.h>

enum { RILL_FOLDER_NAME_BYTES = 33 }; /* 32 hex digits, terminated */

void rill_folder_name(uint64_t seed, uint64_t number, char name[RILL_FOLDER_NAME_BYTES]);

/* SipHash-2-4 (Aumasson and Bernstein) of the 8 bytes of `message`, little-endian. For the test. */
uint64_t rill_folder_hash(uint64_t key0, uint64_t key1, uint64_t message);

#endif
