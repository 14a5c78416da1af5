/*
 * SPDX-License-Identifier: MIT
 *
 * Extras.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compare.h"
#include "complaint.h"
#include "extras.h"
#include "percentiles.h"
#include "plot.h"

/* Whether a file can be written, or made where it is to be. */
static int check_place(const char *option, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[4096] = ".";
	struct stat there;

	if (!stat(path, &there)) {
		if (S_ISDIR(there.st_mode))
			return complain(-EISDIR, "%s %s is a folder: give a file in it", option,
					path);
		/* Such as /dev/null, in whose folder few may make any. */
		if (!S_ISREG(there.st_mode) && !faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
			return 0;
	}
	if (slash && (size_t)(slash - path) + 2 < sizeof(folder)) {
		memcpy(folder, path, (size_t)(slash - path) + 1);
		folder[slash - path + 1] = 0;
	}
	return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) ?
		       complain_errno("%s %s: writing into %s", option, path, folder) :
		       0;
}

int extras_begin(struct extras *extras, const struct options *options)
{
	int err = 0;

	memset(extras, 0, sizeof(*extras));
	extras->options = options;
	extras->outcomes.histograms = options->histogram || options->plot;
	if (options->histogram)
		err = check_place("--histogram", options->histogram);
	if (options->plot && !err)
		err = check_place("--plot", options->plot);
	if (options->plot && !err)
		err = plot_check(options->plot);
	if (options->compare && !err)
		err = earlier_read(&extras->earlier, options->compare);
	return err;
}

void extras_compare(const struct extras *extras, struct json *json)
{
	if (!extras->options->compare)
		return;
	if (json)
		compare_json(&extras->earlier, &extras->outcomes, json);
	else
		compare_print(&extras->earlier, &extras->outcomes, extras->options);
}

int extras_end(struct extras *extras)
{
	const struct options *options = extras->options;
	int err = 0, drawn = 0;

	if (options->histogram)
		err = percentiles_write(&extras->outcomes, options->histogram);
	if (options->plot && !err)
		drawn = plot_write(&extras->outcomes, options->plot);
	if (options->compare)
		earlier_free(&extras->earlier);
	outcomes_free(&extras->outcomes);
	return err ? err : drawn;
}
