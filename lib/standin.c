/*
 * SPDX-License-Identifier: MIT
 *
 * Until the real ones are there.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/large.h"
#include "lib/link.h"
#include "lib/listen.h"
#include "lib/set.h"
#include <peal/call.h>

#define WEAK __attribute__((weak))

WEAK void listen_limit(struct peal_listener *listener, const struct listen_limits *limits)
{
	(void)listener;
	(void)limits;
}
WEAK void listen_forget(struct peal_listener *listener, uint32_t uid)
{
	(void)listener;
	(void)uid;
}
WEAK int listen_prepare(struct peal_listener *listener, uint32_t ready)
{
	(void)listener;
	(void)ready;
	return 0;
}
WEAK uint64_t listen_refused(const struct peal_listener *listener)
{
	(void)listener;
	return 0;
}
WEAK int large_send_part(struct peal_tx *tx, struct peal_sending *sending, uint32_t flags,
			 int64_t timeout)
{
	(void)flags;
	return peal_send_part(tx, sending, timeout);
}

#include "lib/ring.h"
WEAK int peal_commit_last(struct peal_tx *tx, size_t length, uint32_t tag)
{
	uint8_t *at = tx->data + (tx->pos & tx->mask);
	uint64_t size = peal_record_size(length);
	if (length >= tx->reserved)
		return peal_commit_refuse(tx, length);
	tx->reserved = 0;
	if (tx->pending_header)
		peal_publish_pending(tx);
	tx->pos += size;
	peal_show(tx, at, peal_plain_header(length, tag) | PEAL_HEADER_LAST, at + size, 1, length);
	return 0;
}
WEAK int peal_send_last(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
			int64_t timeout)
{
	void *at;
	int err = peal_reserve(tx, length, &at, timeout);
	if (err)
		return err;
	if (length)
		memcpy(at, data, length);
	return peal_commit_last(tx, length, tag);
}
WEAK int peal_send_error(struct peal_tx *tx, uint32_t tag, int err, const char *sentence,
			 int64_t timeout)
{
	(void)tx;
	(void)tag;
	(void)err;
	(void)sentence;
	(void)timeout;
	return -EOPNOTSUPP;
}
WEAK int peal_control_read(const struct peal_message *message, struct peal_control *control)
{
	(void)message;
	(void)control;
	return -EPROTO;
}
