/*
 * SPDX-License-Identifier: MIT
 *
 * The partner. Between slices it is asleep on the control socket, so that transports which are
 * not being measured cost nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <peal/placement.h>
#include <peal/runtime.h>

#include "buffers.h"
#include "complaint.h"
#include "control.h"
#include "options.h"
#include "partner.h"
#include "process.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

struct slot {
	const struct transport *transport; /* NULL: free */
	void *end;
};

struct partner {
	struct slot slots[CONTROL_SLOTS];
	struct buffers buffers;
	bool thread;
};

static int slot_listen(struct partner *partner, struct slot *slot, const struct request *request)
{
	const struct transport *transport = transport_by_name(request->transport);
	int err = buffers_set(&partner->buffers, request->setup.size, request->setup.batch);

	if (err)
		return err;
	err = transport->listen(&request->setup, &slot->end);
	if (!err)
		slot->transport = transport;
	return err;
}

static int slot_adopt(struct partner *partner, struct slot *slot, const struct request *request)
{
	slot->transport = transport_by_name(request->transport);
	slot->end = request->end;
	return buffers_set(&partner->buffers, request->setup.size, request->setup.batch);
}

static int slot_run(struct partner *partner, const struct slot *slot, const struct request *request,
		    struct reply *reply)
{
	const struct transport *transport = slot->transport;
	const struct loops *loops = transport_loops(transport, request->in_place,
						    request->setup.batch);
	struct usage before = usage_now(partner->thread);
	struct slice slice = {
		.size = request->setup.size,
		.payload = request->payload,
		.batch = request->setup.batch,
		.ticks = request->ticks,
		.step = request->step,
		.out = partner->buffers.out,
		.in = partner->buffers.in,
	};
	int err = loops->run[request->test][ANSWERER](slot->end, &slice);

	reply->usage = usage_since(&before, partner->thread);
	reply->messages = slice.messages;
	reply->count = slice.count;
	reply->elapsed = slice.elapsed;
	reply->late = slice.late;
	reply->empty_poll = slice.empty_poll;
	reply->width = slice.width;
	return err;
}

static void slots_close(struct partner *partner)
{
	for (unsigned i = 0; i < CONTROL_SLOTS; i++) {
		struct slot *slot = &partner->slots[i];

		if (slot->transport)
			slot->transport->close(slot->end);
		slot->transport = NULL;
	}
}

static int answer(struct partner *partner, const struct request *request, struct reply *reply)
{
	struct slot *slot = &partner->slots[request->slot];

	switch (request->kind) {
	case REQUEST_LISTEN:
		return slot_listen(partner, slot, request);
	case REQUEST_ACCEPT:
		return slot->transport ? slot->transport->accept(slot->end) :
					 complain(-EPROTO, "nobody listens in this slot");
	case REQUEST_ADOPT:
		return slot_adopt(partner, slot, request);
	case REQUEST_SLICE:
		return slot_run(partner, slot, request, reply);
	case REQUEST_CLOSE:
		slots_close(partner);
		return 0;
	}
	return complain(-EINVAL, "the partner was asked for %u", request->kind);
}

int partner_serve(int control, bool thread)
{
	struct partner *partner = calloc(1, sizeof(*partner));
	struct request request;
	struct reply reply;
	int err = 0;

	if (!partner)
		return -ENOMEM;
	partner->thread = thread;
	while (!err && !control_receive(control, &request, sizeof(request))) {
		memset(&reply, 0, sizeof(reply));
		err = answer(partner, &request, &reply);
		reply.err = err;
		if (err)
			snprintf(reply.why, sizeof(reply.why), "%s", complaint());
		if (control_send(control, &reply, sizeof(reply)))
			break;
		/* The driver may be in the middle of a slice that nobody answers any more. A
		 * process that ends tells it so; a thread has to. */
		if (err && request.kind == REQUEST_SLICE && thread)
			watch_abandon();
		else if (request.kind != REQUEST_SLICE)
			err = 0;
	}
	slots_close(partner);
	buffers_free(&partner->buffers);
	free(partner);
	return err;
}

static int pin(int cpu)
{
	int err = cpu == CPUS_ANY ? 0 : peal_cpu_pin(cpu, NULL);

	return err ? complain(err, "%s", peal_error()) : 0;
}

int partner_settle(int cpu, bool pin_first)
{
	int err = pin_first ? pin(cpu) : 0;
	struct peal_fact fact;

	peal_runtime_fact(0, &fact);
	peal_runtime_spin_ns();
	return err || pin_first ? err : pin(cpu);
}

int partner_main(int argc, char **argv)
{
	int control = process_enter(argc, argv);

	if (control < 0)
		return argc == 5 ? 1 : EXIT_USAGE;
	return partner_serve(control, false) ? 1 : 0;
}
