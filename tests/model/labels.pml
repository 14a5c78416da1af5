/*
 * SPDX-License-Identifier: MIT
 *
 * What all models have: steps that can be taken out, and parameters from the environment.
 *
 * Each fence, re-check and the like has a label, and can be taken out: -DGONE=ring_fence takes out
 * [ring-fence]. The script "run" does so with each and wants to see the model fail.
 */

#ifndef GONE
#define GONE	nothing
#endif
#define ID_nothing 0
#define ID(label)	ID_(label)
#define ID_(label)	ID_##label
#define HAS(label) (gone != ID_##label)
#define STEP(label, what) if :: HAS(label) -> what :: else fi
#define INSTEAD(label, what) if :: !HAS(label) -> what :: else fi

hidden byte gone = ID(GONE);

/* With AT_RUN_TIME all parameters come from the environment: one compilation serves all cases. */
#ifdef AT_RUN_TIME
c_decl {
	static void parameter(unsigned char *at, const char *name)
	{
		if (getenv(name))
			*at = (unsigned char)atoi(getenv(name));
	}
};
#endif
