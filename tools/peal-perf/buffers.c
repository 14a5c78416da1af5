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

static int grow(uint8_t **buffer, size_t *size, size_t wanted)
{
	if (wanted <= *size)
		return 0;
	free(*buffer);
	*size = 0;
	wanted = (wanted + PAGE - 1) / PAGE * PAGE;
	*buffer = aligned_alloc(PAGE, wanted);
	if (!*buffer)
		return complain(-ENOMEM, "no memory for a payload buffer of %zu bytes", wanted);
	memset(*buffer, 0, wanted);
	*size = wanted;
	return 0;
}

int buffers_set(struct buffers *buffers, size_t size, unsigned batch)
{
	int err = grow(&buffers->out, &buffers->out_size, size);

	return err ? err : grow(&buffers->in, &buffers->in_size, buffers_batch(size, batch));
}

void buffers_free(struct buffers *buffers)
{
	free(buffers->out);
	free(buffers->in);
	memset(buffers, 0, sizeof(*buffers));
}
