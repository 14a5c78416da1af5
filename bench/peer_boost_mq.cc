/*
 * SPDX-License-Identifier: MIT
 *
 * Boost.Interprocess's message_queue: one in each direction, in shared memory of its own, with as
 * many messages as fill a ring together with what the queue keeps of each. Spinning is try_send and
 * try_receive, sleeping timed_send and timed_receive, which wait for a condition; their deadline is
 * a moment ahead and is moved on when it is over, so no clock is read while messages move. All
 * messages have one priority. The partner makes both queues, under names that come of the path
 * where the two would meet; the driver opens them and takes the names away.
 *
 * Its mutex does not outlive its holder. Where one side is killed with it in its hands, the other
 * side never gets it, and the watch ends that.
 */
#include <boost/date_time/posix_time/posix_time_types.hpp>
#include <boost/interprocess/ipc/message_queue.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "complaint.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"
}

using boost::interprocess::message_queue;
using boost::posix_time::microsec_clock;
using boost::posix_time::milliseconds;

/* Looks between two questions whether to give up, or how long to wait between them. */
#define LOOKS 65536
#define WAIT_MS 500

/* Bytes of a message in the queue beside its own: its header, and its place in the index. */
#define OVERHEAD 24

namespace
{

struct end {
	std::string name; /* what the names of both queues begin with */
	bool sleeps;
	std::unique_ptr<message_queue> to, from;
	boost::posix_time::ptime deadline; /* of the next wait; may be over */
};

/* Calls look until it says that it did something, which it is told to wait for by a deadline. */
template <class look_kind, class wait_kind>
ALWAYS_INLINE int wait_for(struct end *end, look_kind look, wait_kind wait)
try {
	for (;;) {
		if (end->sleeps) {
			if (wait(end->deadline))
				return 0;
			end->deadline = microsec_clock::universal_time() + milliseconds(WAIT_MS);
		} else {
			for (int i = 0; i < LOOKS; i++) {
				if (look())
					return 0;
				peal_relax();
			}
		}
		if (watch_abandoned())
			return complain(-ECANCELED, "given up");
	}
} catch (const std::exception &exception) {
	return complain(-EIO, "the message_queue says: %s", exception.what());
}

ALWAYS_INLINE int mq_send(void *at, const void *payload, size_t size)
{
	struct end *end = static_cast<struct end *>(at);
	message_queue &to = *end->to;

	return wait_for(
		end, [&] { return to.try_send(payload, size, 0); },
		[&](const auto &deadline) { return to.timed_send(payload, size, 0, deadline); });
}

ALWAYS_INLINE int mq_recv(void *at, void *payload, size_t size)
{
	struct end *end = static_cast<struct end *>(at);
	message_queue &from = *end->from;
	message_queue::size_type came = 0;
	unsigned priority;
	int err = wait_for(
		end, [&] { return from.try_receive(payload, size, came, priority); },
		[&](const auto &deadline) {
			return from.timed_receive(payload, size, came, priority, deadline);
		});

	if (!err && __builtin_expect(came != size, 0))
		return slice_wrong_size(size, came);
	return err;
}

const struct verbs mq_verbs = { .send = mq_send, .recv = mq_recv };

TRANSPORT_LOOPS(mq_loops, mq_verbs);

/* The names of the queues to the driver and to the partner. */
const char *const directions[SIDES] = { ".driver", ".partner" };

void forget(const std::string &name)
{
	for (const char *direction : directions)
		message_queue::remove((name + direction).c_str());
}

/* A path without slashes; a name has none. */
std::string name_of(const struct setup *setup)
{
	std::string name(setup->path);

	name.erase(0, name.find_first_not_of('/'));
	std::replace(name.begin(), name.end(), '/', '.');
	return name;
}

/* Has a message in each place of a queue, so that all of it has been touched by this process. */
void touch(message_queue &queue)
{
	std::vector<char> message(queue.get_max_msg_size());
	message_queue::size_type size;
	unsigned priority;

	while (queue.try_send(message.data(), message.size(), 0))
		;
	while (queue.try_receive(message.data(), message.size(), size, priority))
		;
}

std::unique_ptr<message_queue> queue_new(const struct setup *setup, const std::string &name)
{
	const size_t whole = (setup->size + 7) / 8 * 8 + OVERHEAD;
	const size_t messages = std::max<size_t>(setup->ring / whole, 1);
	auto queue = std::make_unique<message_queue>(boost::interprocess::create_only, name.c_str(),
						     messages, setup->size);

	touch(*queue);
	return queue;
}

std::unique_ptr<message_queue> queue_open(const std::string &name)
{
	auto queue = std::make_unique<message_queue>(boost::interprocess::open_only, name.c_str());

	touch(*queue);
	return queue;
}

std::unique_ptr<struct end> end_new(const struct setup *setup)
{
	auto end = std::make_unique<struct end>();

	end->name = name_of(setup);
	end->sleeps = setup->wait == WAIT_SLEEP;
	end->deadline = microsec_clock::universal_time();
	return end;
}

/* Both queues, as the partner has them. */
std::unique_ptr<struct end> end_create(const struct setup *setup)
{
	auto end = end_new(setup);

	end->to = queue_new(setup, end->name + directions[INITIATOR]);
	end->from = queue_new(setup, end->name + directions[ANSWERER]);
	return end;
}

/* As the driver has them, without their names. */
std::unique_ptr<struct end> end_open(const struct setup *setup)
{
	auto end = end_new(setup);

	end->to = queue_open(end->name + directions[ANSWERER]);
	end->from = queue_open(end->name + directions[INITIATOR]);
	forget(end->name);
	return end;
}

int refused(const struct setup *setup, const std::exception &exception)
{
	forget(name_of(setup));
	return complain(-EIO, "making a message_queue: %s", exception.what());
}

int mq_listen(const struct setup *setup, void **made)
try {
	*made = end_create(setup).release();
	return 0;
} catch (const std::exception &exception) {
	return refused(setup, exception);
}

/* There is nobody to wait for: the queues are there, whoever opens them. */
int mq_accept(void *)
{
	return 0;
}

int mq_connect(const struct setup *setup, void **made)
try {
	*made = end_open(setup).release();
	return 0;
} catch (const std::exception &exception) {
	return refused(setup, exception);
}

int mq_pair(const struct setup *setup, void *ends[2])
try {
	auto one = end_create(setup);

	ends[0] = end_open(setup).release();
	ends[1] = one.release();
	return 0;
} catch (const std::exception &exception) {
	return refused(setup, exception);
}

/* The names are there only if nobody has come. */
void mq_close(void *at)
{
	std::unique_ptr<struct end> end(static_cast<struct end *>(at));

	forget(end->name);
}

} // namespace

extern "C" const struct transport transport_boost_mq = {
	.name = "boost-mq",
	.about = "Boost.Interprocess message_queue, with a mutex and conditions",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.rings = true,
	.listen = mq_listen,
	.accept = mq_accept,
	.connect = mq_connect,
	.pair = mq_pair,
	.close = mq_close,
	.loops = &mq_loops,
};
