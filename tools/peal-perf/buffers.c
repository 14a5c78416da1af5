/*
 * SPDX-License-Identifier: MIT
 *
 * Buffers: on pages of their own, so that they do not share lines with anything.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buffers.h"
#include "complaint.h"

#define PAGE 4096

int buffers_set(struct buffers *buffers, size_t size)
{
	if (size <= buffers->size)
		return 0;
	buffers_free(buffers);
	size = (size + PAGE - 1) / PAGE * PAGE;
	buffers->out = aligned_alloc(PAGE, size);
	buffers->in = aligned_alloc(PAGE, size);
	if (!buffers->out || !buffers->in) {
		buffers_free(buffers);
		return complain(-ENOMEM, "no memory for payload buffers of %zu bytes", size);
	}
	memset(buffers->out, 0, size);
	memset(buffers->in, 0, size);
	buffers->size = size;
	return 0;
}

void buffers_free(struct buffers *buffers)
{
	free(buffers->out);
	free(buffers->in);
	memset(buffers, 0, sizeof(*buffers));
}
