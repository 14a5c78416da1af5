/*
 * SPDX-License-Identifier: MIT
 *
 * Taking an address. Whoever has the lock beside a path may replace the socket there; what is no
 * socket is in the way. The lock file stays, the socket goes with its server.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/claim.h"
#include "lib/error.h"

int claim_find(struct claim *claim, const char *address, const struct peal_options *given)
{
	struct address *place = &claim->address;
	int err;

	*claim = (struct claim){ .fd = -1, .lock = -1 };
	err = address_parse(place, address);
	if (err)
		return err;
	if (place->form == ADDRESS_NAME)
		return address_place(place, platform_uid() == 0, true);
	/* Whoever limits a socket so would find that it is not. */
	if (place->form == ADDRESS_ABSTRACT && given && (given->mode || given->socket_group))
		return error_set(
			-EINVAL,
			"%s has no mode and no group, and options.mode is 0%o, socket_group %llu: leave both 0 (options.allow decides), or pass a path",
			place->shown, given->mode, (unsigned long long)given->socket_group);
	return 0;
}

static int say_listen_error(int err, const char *what, const char *address, int64_t holder)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		return error_set(-ENOENT, "no folder for the address %s: make it first", address);
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return error_set(-EACCES, "no permission to make the %s of %s (errno %d): %s", what,
				 address, -err, error_mend(err, "see the mode of the folder"));
	case -EADDRINUSE:
		if (holder)
			return error_set(
				err,
				"another server listens at %s (pid %lld): end it or choose another address",
				address, (long long)holder);
		return error_set(err,
				 "another server listens at %s: end it or choose another address",
				 address);
	case -EMFILE:
	case -ENFILE:
		return error_set(err, "no descriptor for the %s of %s: raise the limit (ulimit -n)",
				 what, address);
	default:
		return error_set(err, "the %s of %s failed (errno %d): %s", what, address, -err,
				 error_mend(err, "see errno(3)"));
	}
}

static int say_lock_error(int err, const char *address)
{
	static const char mend[] = "remove it or choose another address";

	switch (err) {
	case -EISDIR:
		return error_set(err, "%s.lock is in the way: it is a folder and no lock file; %s",
				 address, mend);
	case -ELOOP:
		return error_set(err, "%s.lock is in the way: a lock file is no symbolic link; %s",
				 address, mend);
	case -EEXIST:
		return error_set(
			err,
			"%s.lock is in the way: it is no lock file of this user's (with a pid in it or nothing); %s",
			address, mend);
	default:
		return say_listen_error(err, "lock file", address, 0);
	}
}

/* Nothing or a socket may stand at the path: 0 or 1; or a negative errno. */
static int look_at(const struct address *address)
{
	int kind = platform_kind(address->where, false);

	if (kind == PLATFORM_NOTHING || kind == PLATFORM_SOCKET)
		return kind == PLATFORM_SOCKET;
	if (kind < 0)
		return say_listen_error(kind, "socket", address->shown, 0);
	return error_set(
		-EEXIST,
		"%s is in the way: it is a %s and no socket; remove it or choose another address",
		address->shown, address_kind(kind));
}

/*
 * Whoever has the lock may replace the socket. A lock file is made only where we may be: not beside
 * what is no socket, nor beside the socket of somebody who knows no lock and is alive.
 */
static int take_lock(struct claim *claim)
{
	const struct address *address = &claim->address;
	char path[sizeof(address->where) + 8];
	int err, socket = look_at(address);

	if (socket < 0)
		return socket;
	snprintf(path, sizeof(path), "%s.lock", address->where);
	claim->lock = platform_lock(path, !socket);
	if (claim->lock == -ENOENT && socket) {
		err = platform_probe_socket(address->where);
		if (err == -EADDRINUSE)
			return say_listen_error(err, "socket", address->shown, 0);
		claim->lock = platform_lock(path, true);
	}
	return claim->lock < 0 ? say_lock_error(claim->lock, address->shown) : 0;
}

/* Makes a path free for us. */
static int clear_path(struct claim *claim)
{
	const struct address *address = &claim->address;
	int err = take_lock(claim);

	if (err)
		return err;
	/* Again, with the lock: what stands here now is nobody's who knows it. */
	err = look_at(address);
	if (err <= 0)
		return err;
	err = platform_probe_socket(address->where);
	if (!err)
		err = platform_remove(address->where);
	return err && err != -ENOENT ? say_listen_error(err, "socket", address->shown, 0) : 0;
}

static int open_socket(struct claim *claim, const struct peal_options *options)
{
	const struct address *address = &claim->address;
	int err;

	if (address->form == ADDRESS_SYSTEMD) {
		claim->fd = address_inherit(&claim->address);
		return claim->fd < 0 ? claim->fd : 0;
	}
	if (address->form == ADDRESS_DESCRIPTOR) {
		err = address_adopt(address, true);
		if (!err)
			claim->fd = address->fd;
		return err;
	}
	err = claim->fd = platform_socket();
	if (err >= 0)
		err = platform_bind(claim->fd, address->where, options->mode);
	if (err)
		goto fail;
	if (address_is_file(address)) {
		claim->bound = true;
		err = platform_give(address->where, options->mode, (uint32_t)options->socket_group);
		if (err == -EOPNOTSUPP)
			return error_set(
				-ENOSYS,
				"the socket of %s cannot be given mode 0%o, of which the umask takes bits: that takes Linux 6.6 or a /proc; mount that, or change the umask",
				address->shown, options->mode);
		if (err == -EPERM && options->socket_group)
			return error_set(
				err,
				"the socket of %s cannot be given to group %llu, which this user (%u) is not in: add it there, or pass another options.socket_group",
				address->shown, (unsigned long long)options->socket_group,
				platform_uid());
		if (!err)
			err = platform_identify(address->where, &claim->socket);
		if (!err)
			err = platform_whole_path(address->where, &claim->whole);
	}
	if (!err)
		err = platform_listen(claim->fd, (int)options->backlog);
	if (!err)
		return 0;
fail:
	return say_listen_error(err, "socket", address->shown, 0);
}

int claim_take(struct claim *claim, const struct peal_options *options)
{
	int err = 0;

	if (address_is_file(&claim->address))
		err = clear_path(claim);
	return err ? err : open_socket(claim, options);
}

void claim_undo(struct claim *claim)
{
	if (claim->bound)
		platform_remove(claim->address.where);
	if (claim->address.form != ADDRESS_DESCRIPTOR)
		platform_close_listening(claim->fd, *claim->address.where);
	platform_unlock(claim->lock);
}

void claim_name_winner(const struct claim *claim)
{
	if (claim->lock == -EADDRINUSE)
		say_listen_error(-EADDRINUSE, "socket", claim->address.shown,
				 platform_listening_pid(claim->address.where));
}

void claim_end(struct claim *claim)
{
	struct platform_identity now;

	/* While we have the lock, what we bound is ours to remove. */
	if (claim->bound && !platform_identify(claim->whole, &now) &&
	    now.device == claim->socket.device && now.inode == claim->socket.inode)
		platform_remove(claim->whole);
	platform_close_listening(claim->fd, *claim->address.where);
	platform_unlock(claim->lock);
}

void claim_forget(struct claim *claim)
{
	platform_close(claim->fd);
	platform_close(claim->lock);
	claim->fd = claim->lock = -1;
}

void claim_free(struct claim *claim)
{
	free(claim->whole);
	claim->whole = NULL;
}
