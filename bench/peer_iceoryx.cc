/*
 * SPDX-License-Identifier: MIT
 *
 * iceoryx 2: an untyped publisher and an untyped subscriber for each direction. A payload is copied
 * into a chunk on loan and out of one that was taken; or with --zero-copy it is written and read
 * there, which is what iceoryx is made for. Nothing may be lost, so the subscriber's queue is to
 * block the producer, as its example "iceoptions" does. A queue has as many places as fill a ring,
 * but no more than iceoryx allows, or fill 16 MiB.
 *
 * Spinning is take(), again and again, as its iceperf does. Sleeping is a WaitSet with the
 * subscriber's state, as its example "waitset" has it. A publisher whose subscriber is full is
 * made to wait by the library itself, which yields, and sleeps when that takes long.
 *
 * All of it needs RouDi, the daemon that has the memory; a machine has one. It runs in a child of
 * the side that listens, from the first meeting until both sides are gone, which a pipe tells it
 * that only they can write to. It watches nobody's life, and is on no CPU in particular. Its memory
 * has chunks for all sizes from the first moment on, so large ones are refused. A process that is
 * killed cannot remove the socket and the lock by which RouDi knows it: that child does.
 */
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <memory>
#include <new>
#include <string>

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iceoryx_hoofs/cxx/optional.hpp>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_hoofs/posix_wrapper/file_lock.hpp>
#include <iceoryx_hoofs/posix_wrapper/posix_access_rights.hpp>
#include <iceoryx_posh/iceoryx_posh_config.hpp>
#include <iceoryx_posh/internal/roudi/roudi.hpp>
#include <iceoryx_posh/mepoo/chunk_header.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/roudi/iceoryx_roudi_components.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

extern "C" {
#include "complaint.h"
#include "meeting.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"
}

#define LOOKS 65536        /* between two questions whether to give up */
#define NAP_MS 100         /* likewise, asleep */
#define LARGEST (1u << 20) /* chunk */
#define SMALLEST 64
#define RING_MOST ((uint64_t)16 << 20) /* for RouDi has chunks for all sizes */
#define SPARE 8       /* chunks beside those of a queue: on loan, taken, kept for the next loan */
#define LOCK_TRIES 50 /* of 100 ms: RouDi of a run that has just ended may not be gone yet */

/* Of a process: whether it has met RouDi, and what tells RouDi that it lives. */
static bool registered;
static int life = -1;

static uint64_t places(uint64_t size, uint64_t ring)
{
	uint64_t fit = std::min(ring, RING_MOST) / size;

	return std::clamp<uint64_t>(fit, 1, iox::MAX_SUBSCRIBER_QUEUE_CAPACITY);
}

/* What RouDi knows a process by. It makes a socket of that name. */
static iox::RuntimeName_t name_of(pid_t process)
{
	return { iox::cxx::TruncateToCapacity, "peal-perf-" + std::to_string(process) };
}

/* RouDi and its clients tell errors only. */
static void speak_of_errors()
{
	iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
		iox::log::LogLevel::kError, iox::log::LogLevelOutput::kHideLogLevel);
}

/* Whether RouDi may be started. */
static bool alone()
{
	for (int i = 0; i < LOCK_TRIES && !watch_interrupted(); i++) {
		if (!iox::posix::FileLock::create(iox::roudi::ROUDI_LOCK_NAME).has_error())
			return true;
		usleep(100000);
	}
	return false;
}

/* Only of the chunks that fit a message best are some in use at a time. */
static void roudi_configure(iox::RouDiConfig_t *config, uint64_t ring)
{
	auto group = iox::posix::PosixGroup::getGroupOfCurrentProcess().getName();
	iox::mepoo::MePooConfig pools;

	for (uint32_t size = SMALLEST; size <= LARGEST; size *= 2)
		pools.addMemPool({ size, SIDES * (uint32_t)(places(size, ring) + SPARE) });
	config->setModuleDefaults<iox::config::RouDiConfig>();
	config->m_sharedMemorySegments.push_back({ group, group, pools });
}

/* Its parts are too large for a stack. */
static void roudi_run(int ready, int ends, uint64_t ring)
{
	auto config = std::make_unique<iox::RouDiConfig_t>();
	char byte = 0;

	roudi_configure(config.get(), ring);
	auto parts = std::make_unique<iox::roudi::IceOryxRouDiComponents>(*config);
	auto roudi = std::make_unique<iox::roudi::RouDi>(
		parts->rouDiMemoryManager, parts->portManager,
		iox::roudi::RouDi::RoudiStartupParameters{ iox::roudi::MonitoringMode::OFF,
							   false });

	if (write(ready, &byte, 1) != 1)
		return;
	close(ready);
	while (read(ends, &byte, 1) < 0 && errno == EINTR)
		;
}

/* Keeps nothing of its parent but these two and stderr, and stays until both sides are gone. */
[[noreturn]] static void roudi_main(int ready, int ends, uint64_t ring, const pid_t sides[SIDES])
{
	cpu_set_t all;

	for (int number : { SIGINT, SIGTERM, SIGHUP, SIGPIPE })
		signal(number, SIG_IGN);
	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	dup2(ends, STDIN_FILENO);
	dup2(ready, STDOUT_FILENO);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	ready = dup(STDOUT_FILENO);
	dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
	std::clog.rdbuf(nullptr); /* where it tells what it does */
	speak_of_errors();
	roudi_run(ready, STDIN_FILENO, ring);
	for (int i = 0; i < SIDES; i++) {
		std::string name = name_of(sides[i]).c_str();

		unlink((iox::platform::IOX_UDS_SOCKET_PATH_PREFIX + name).c_str());
		unlink((iox::platform::IOX_LOCK_FILE_PATH_PREFIX + name +
			iox::posix::FileLock::LOCK_FILE_SUFFIX)
			       .c_str());
	}
	_exit(0);
}

/* Starts RouDi, and waits until it is there. */
static int roudi_start(uint64_t ring)
{
	pid_t sides[SIDES] = { getppid(), getpid() };
	int ready[2], ends[2], err = 0;
	ssize_t came;
	pid_t pid;
	char byte;

	if (!alone())
		return complain(-EADDRINUSE, "another RouDi runs on this machine");
	if (pipe2(ready, O_CLOEXEC))
		return complain_errno("making a pipe");
	if (pipe2(ends, O_CLOEXEC)) {
		err = complain_errno("making a pipe");
		goto close_ready;
	}
	pid = fork();
	if (!pid)
		roudi_main(ready[1], ends[0], ring, sides);
	if (pid < 0)
		err = complain_errno("fork");
	close(ends[0]);
	close(ready[1]);
	ready[1] = -1;
	while (!err && (came = read(ready[0], &byte, 1)) != 1)
		err = came ? watch_retry("waiting for RouDi") :
			     complain(-ECHILD, "RouDi did not start");
	if (err)
		close(ends[1]);
	else
		life = ends[1];
close_ready:
	if (ready[1] >= 0)
		close(ready[1]);
	close(ready[0]);
	return err;
}

/* Signals are for the threads that were there before. */
static void register_process()
{
	sigset_t all, before;

	if (registered)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	speak_of_errors();
	iox::runtime::PoshRuntime::initRuntime(name_of(getpid()));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	registered = true;
}

using when_slow = iox::popo::ConsumerTooSlowPolicy;

/* Both directions of an end. */
struct ports {
	iox::popo::UntypedPublisher to;
	iox::popo::UntypedSubscriber from;
	iox::cxx::optional<iox::popo::WaitSet<1>> nap; /* nothing: spins */
	void *loan = nullptr;                          /* in place */
	const void *taken = nullptr;

	ports(const struct setup *setup, const iox::capro::IdString_t &there,
	      const iox::capro::IdString_t &back)
	    : to({ "peal-perf", name(setup), there },
		 { .subscriberTooSlowPolicy = when_slow::WAIT_FOR_CONSUMER }),
	      from({ "peal-perf", name(setup), back },
		   { .queueCapacity = places(setup->size, setup->ring),
		     .queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER })
	{
	}

	static iox::capro::IdString_t name(const struct setup *setup)
	{
		return { iox::cxx::TruncateToCapacity, setup->path };
	}

	int begin(const struct setup *setup)
	{
		if (setup->wait != WAIT_SLEEP)
			return 0;
		nap.emplace();
		return nap->attachState(from, iox::popo::SubscriberState::HAS_DATA).has_error() ?
			       complain(-EIO, "attaching a subscriber to a WaitSet") :
			       0;
	}

	bool met()
	{
		return to.hasSubscribers() &&
		       from.getSubscriptionState() == iox::SubscribeState::SUBSCRIBED;
	}
};

struct iceoryx {
	struct setup setup;
	int listener = -1; /* has been closed */
	iox::cxx::optional<struct ports> ports;
};

ALWAYS_INLINE int ice_loan(struct ports *ports, size_t size, void **at)
{
	auto loan = ports->to.loan((uint32_t)size);

	if (__builtin_expect(loan.has_error(), 0))
		return complain(-ENOBUFS, "loaning a chunk of %zu bytes: %s", size,
				iox::popo::asStringLiteral(loan.get_error()));
	*at = loan.value();
	return 0;
}

ALWAYS_INLINE int ice_take(struct ports *ports, size_t size, const void **at)
{
	for (unsigned looks = 1;; looks++) {
		auto take = ports->from.take();

		if (__builtin_expect(!take.has_error(), 1)) {
			size_t length;

			*at = take.value();
			length = iox::mepoo::ChunkHeader::fromUserPayload(*at)->userPayloadSize();
			return __builtin_expect(length == size, 1) ? 0 :
								     slice_wrong_size(size, length);
		}
		if (take.get_error() != iox::popo::ChunkReceiveResult::NO_CHUNK_AVAILABLE)
			return complain(-EIO, "taking a chunk: %s",
					iox::popo::asStringLiteral(take.get_error()));
		if (ports->nap.has_value())
			ports->nap->timedWait(iox::units::Duration::fromMilliseconds(NAP_MS));
		else
			peal_relax();
		if ((ports->nap.has_value() || !(looks % LOOKS)) && watch_abandoned())
			return complain(-ECANCELED, "given up");
	}
}

ALWAYS_INLINE int ice_send(void *end, const void *payload, size_t size)
{
	struct ports *ports = &*static_cast<struct iceoryx *>(end)->ports;
	void *at = nullptr;
	int err = ice_loan(ports, size, &at);

	if (err)
		return err;
	memcpy(at, payload, size);
	ports->to.publish(at);
	return 0;
}

ALWAYS_INLINE int ice_recv(void *end, void *payload, size_t size)
{
	struct ports *ports = &*static_cast<struct iceoryx *>(end)->ports;
	const void *at = nullptr;
	int err = ice_take(ports, size, &at);

	if (err)
		return err;
	memcpy(payload, at, size);
	ports->from.release(at);
	return 0;
}

static constexpr struct verbs verbs = { .send = ice_send, .recv = ice_recv };

TRANSPORT_LOOPS(copy_loops, verbs);

ALWAYS_INLINE int ice_reserve(void *end, size_t size, void **at)
{
	struct ports *ports = &*static_cast<struct iceoryx *>(end)->ports;
	int err = ice_loan(ports, size, &ports->loan);

	*at = ports->loan;
	return err;
}

ALWAYS_INLINE int ice_commit(void *end, size_t)
{
	struct ports *ports = &*static_cast<struct iceoryx *>(end)->ports;

	ports->to.publish(ports->loan);
	return 0;
}

ALWAYS_INLINE int ice_peek(void *end, size_t size, const void **at)
{
	struct ports *ports = &*static_cast<struct iceoryx *>(end)->ports;
	int err = ice_take(ports, size, &ports->taken);

	*at = ports->taken;
	return err;
}

ALWAYS_INLINE int ice_release(void *end)
{
	struct ports *ports = &*static_cast<struct iceoryx *>(end)->ports;

	ports->from.release(ports->taken);
	return 0;
}

static constexpr struct verbs place_verbs = {
	.reserve = ice_reserve,
	.commit = ice_commit,
	.peek = ice_peek,
	.release = ice_release,
};

TRANSPORT_LOOPS(place_loops, place_verbs);

static void ice_close(void *at)
{
	struct iceoryx *end = static_cast<struct iceoryx *>(at);

	if (end->listener >= 0)
		close(end->listener);
	delete end;
}

static int ice_new(const struct setup *setup, struct iceoryx **made)
{
	struct iceoryx *end = new (std::nothrow) struct iceoryx;

	if (!end)
		return complain(-ENOMEM, "no memory for an end");
	end->setup = *setup;
	*made = end;
	return 0;
}

static int ice_wait(struct iceoryx *end)
{
	while (!end->ports->met()) {
		if (watch_abandoned())
			return complain(-ECANCELED, "given up");
		usleep(1000);
	}
	return 0;
}

/* Makes the ports of one side. */
static int ice_begin(struct iceoryx *end, enum side side)
{
	if (side == INITIATOR)
		end->ports.emplace(&end->setup, "there", "back");
	else
		end->ports.emplace(&end->setup, "back", "there");
	return end->ports->begin(&end->setup);
}

static int ice_listen(const struct setup *setup, void **at)
{
	struct iceoryx *end;
	int err = life < 0 ? roudi_start(setup->ring) : 0;

	if (!err)
		err = ice_new(setup, &end);
	if (err)
		return err;
	register_process();
	end->listener = meeting_listen(setup->path, SOCK_SEQPACKET, 1);
	if (end->listener < 0) {
		err = end->listener;
		ice_close(end);
		return err;
	}
	*at = end;
	return 0;
}

static int ice_accept(void *at)
{
	struct iceoryx *end = static_cast<struct iceoryx *>(at);
	int socket = meeting_accept(end->listener);
	int err;

	if (socket < 0)
		return socket;
	close(end->listener);
	end->listener = -1;
	err = meeting_give(socket, &life, 1);
	close(socket);
	if (!err)
		err = ice_begin(end, ANSWERER);
	return err ? err : ice_wait(end);
}

/* The first time, takes over what tells RouDi that this side lives. */
static int life_take(const char *path)
{
	int socket = meeting_connect(path, SOCK_SEQPACKET);
	int taken = -1, err;

	if (socket < 0)
		return socket;
	err = meeting_take(socket, &taken, 1);
	close(socket);
	if (err)
		return err;
	if (life < 0)
		life = taken;
	else
		close(taken);
	return 0;
}

static int ice_connect(const struct setup *setup, void **at)
{
	struct iceoryx *end;
	int err = life_take(setup->path);

	if (!err)
		err = ice_new(setup, &end);
	if (err)
		return err;
	register_process();
	err = ice_begin(end, INITIATOR);
	if (!err)
		err = ice_wait(end);
	if (err)
		ice_close(end);
	else
		*at = end;
	return err;
}

static int ice_pair(const struct setup *setup, void *ends[2])
{
	struct iceoryx *one, *two;
	int err = life < 0 ? roudi_start(setup->ring) : 0;

	if (!err)
		err = ice_new(setup, &one);
	if (err)
		return err;
	err = ice_new(setup, &two);
	if (err)
		goto close_one;
	register_process();
	err = ice_begin(one, INITIATOR);
	if (!err)
		err = ice_begin(two, ANSWERER);
	if (!err)
		err = ice_wait(one);
	if (!err)
		err = ice_wait(two);
	if (err)
		goto close_both;
	ends[0] = one;
	ends[1] = two;
	return 0;

close_both:
	ice_close(two);
close_one:
	ice_close(one);
	return err;
}

static const char *ice_refuse(const struct setup *setup)
{
	static bool asked, refused;

	if (setup->size > LARGEST)
		return "its RouDi has chunks of at most 1m here";
	if (!asked)
		refused = !alone();
	asked = true;
	return refused ? "another RouDi runs on this machine, which can have one" : NULL;
}

extern "C" const struct transport transport_iceoryx = {
	.name = "iceoryx",
	.about = "iceoryx 2, publishers and subscribers",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.rings = true,
	.refuse = ice_refuse,
	.listen = ice_listen,
	.accept = ice_accept,
	.connect = ice_connect,
	.pair = ice_pair,
	.close = ice_close,
	.loops = &copy_loops,
	.in_place = &place_loops,
};
