/*
 * SPDX-License-Identifier: MIT
 *
 * The table of checks, and how its rows are judged. What a row says is all there is to say of a
 * check that is one file and one rule; the others have a function in check_*.c.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/check.h"
#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/look.h"
#include "tools/peal-tune/shell.h"

#define LATENCY PROFILE_LATENCY
#define THROUGHPUT PROFILE_THROUGHPUT
#define ALL (PROFILE_LATENCY | PROFILE_THROUGHPUT | PROFILE_CONTAINER)

const struct check checks[] = {
	/* Memory. */
	{
		.id = "huge-pages",
		.profiles = ALL,
		.title = "pools of huge pages, by node and size",
		.why = "A ring of 16 MiB or more is 3 to 10 % faster on huge pages, and its first "
		       "lap, in which each page is touched for the first time, six times. Pages "
		       "of the pool are set aside before they are asked for, so they are there "
		       "when transparent ones are not. The pool of the node that a program runs "
		       "on must have them: memory of another node is slower. What is asked for is "
		       "what --bytes says; without it this only tells what there is. Reserve "
		       "early: later the memory may be in too many pieces.",
		.look = look_huge_pools,
	},
	{
		.id = "hugetlb-cgroup",
		.profiles = ALL,
		.title = "how many huge pages the control group gives",
		.why = "A control group can limit huge pages of the pool, by size. Where it does, "
		       "a ring that requires them is refused although the pool has some: the "
		       "sentence of the link tells the two apart.",
		.look = look_hugetlb_cgroup,
	},
	{
		.id = "thp",
		.profiles = ALL,
		.title = "transparent huge pages for private memory",
		.why = "With \"madvise\" or \"always\" what a program does beside its rings can "
		       "have huge pages, which spare it misses of the TLB; with \"never\" it "
		       "cannot. Rings are shared memory and have a switch of their own: thp-shmem.",
		.path = "/sys/kernel/mm/transparent_hugepage/enabled",
		.rule = RULE_CHOICE,
		.want = "madvise|always",
		.bad = STATUS_WARN,
		.harm = "programs that ask for huge pages get none",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
	},
	{
		.id = "thp-shmem",
		.profiles = ALL,
		.title = "transparent huge pages for shared memory",
		.why = "A ring of 2 MiB or more asks for transparent huge pages unless it is told "
		       "otherwise, and the kernel gives them to shared memory only if "
		       "shmem_enabled says so: \"never\" unless somebody changed it. \"advise\" "
		       "is for those who ask, so nobody else is affected. Since Linux 6.11 each "
		       "size has a file of its own, whose \"inherit\" means the common one.",
		.look = look_thp_shmem,
	},
	{
		.id = "thp-defrag",
		.profiles = LATENCY,
		.title = "who makes huge pages when there is none",
		.why = "With \"always\" any page fault may stop to move other pages around until "
		       "there is a huge page, which takes milliseconds. With \"madvise\" only "
		       "those who ask for huge pages wait, and they mostly do so at their start.",
		.path = "/sys/kernel/mm/transparent_hugepage/defrag",
		.rule = RULE_CHOICE,
		.want = "madvise|defer+madvise|defer|never",
		.bad = STATUS_WARN,
		.harm = "any page fault may stop for milliseconds to make a huge page",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
	},
	{
		.id = "memlock",
		.profiles = ALL,
		.title = "memory a process may lock",
		.why = "Rings that are locked (PEAL_LOCK) are never swapped out or moved. Without "
		       "CAP_IPC_LOCK a process may lock so much as its limit says; a ring and its "
		       "page count once, huge pages of the pool not at all. Counted are rings of "
		       "64 KiB, one for each of --clients.",
		.look = look_memlock,
	},
	{
		.id = "memory-cgroup",
		.profiles = ALL,
		.title = "memory that the control group leaves",
		.why = "Rings count against the memory limit of the control group of who makes "
		       "them, the whole ring when it is made. The least that this group and those "
		       "above it leave must do for --bytes and for --clients: each costs some 150 "
		       "KiB, which is two rings of 64 KiB with their pages and what the kernel "
		       "keeps. Pages of files that are not in use count as free.",
		.look = look_memory_cgroup,
	},
	{
		.id = "cpus-allowed",
		.profiles = ALL,
		.title = "CPUs that may be used",
		.why = "A thread runs only where its affinity and the cpuset of its cgroup let "
		       "it. It may widen its affinity by itself, as peal-tune run does, but "
		       "never beyond the cpuset: to pin it elsewhere fails with EINVAL. Where a "
		       "single CPU is left, both sides of a ring take turns on it. Each message "
		       "then waits for a change of context, and to wait by spinning only keeps "
		       "the other side from running.",
		.look = look_cpus_allowed,
	},
	{
		.id = "cpu-quota",
		.profiles = ALL,
		.title = "CPU time that the cgroup may use",
		.why = "A cgroup with a quota has so many microseconds of CPU time in each "
		       "period, for all its threads together. When they are used up, all of them "
		       "stand still until the next period begins: up to 100 ms in which no "
		       "message moves. Who waits by spinning uses up time as if it worked, so "
		       "two spinning threads need a quota of two CPUs and more. cpu.stat counts "
		       "how often it has happened. Shares (cpu.weight) divide a CPU only when "
		       "others want it, and stop nobody.",
		.look = look_cpu_quota,
	},
	{
		.id = "smt",
		.profiles = LATENCY,
		.title = "threads of one core among the chosen CPUs",
		.why = "Two hardware threads of one core share its execution units and its first "
		       "caches. Each runs at some 60 % of the speed that it has alone, and a "
		       "thread that spins takes its part of that although it does nothing; how "
		       "much depends on what runs beside it, so times scatter. A pair on one "
		       "core does have the shortest way for a message. Measure it (peal-tune "
		       "topology --measure) if both sides mostly sleep.",
		.look = look_smt,
	},
	{
		.id = "shared-cache",
		.profiles = LATENCY | THROUGHPUT,
		.title = "last-level cache of the chosen CPUs",
		.why = "A message is a few cache lines that go from one core to the other. "
		       "Within one last-level cache that takes some 20 to 70 ns each way; "
		       "between two of them, in other chiplets or sockets, 100 to 300 ns, and "
		       "each line goes there and back. No setting mends that, only the choice of "
		       "CPUs does.",
		.look = look_shared_cache,
	},
	{
		.id = "core-kinds",
		.profiles = LATENCY,
		.title = "cores of different kinds among the chosen CPUs",
		.why = "Some processors have fast cores and small ones, or cores that may reach "
		       "different frequencies. What takes 1 us on one takes 2 us on the other, "
		       "and the scheduler moves threads between them as the load changes, so "
		       "that the times of one program fall into two groups. Pin it to cores of "
		       "one kind.",
		.look = look_core_kinds,
	},
	{
		.id = "cpu-nodes",
		.profiles = LATENCY | THROUGHPUT,
		.title = "NUMA nodes of the chosen CPUs",
		.why = "Memory belongs to a node, and so does each CPU. What is not in a cache "
		       "takes some 80 ns from the node's own memory and 130 ns and more from "
		       "another one's. A ring lies on one node; whoever uses it from another "
		       "pays that for each line it misses, and the link between the nodes is "
		       "shared by all. With --node, the CPUs are to be those of that node.",
		.look = look_cpu_nodes,
	},
	{
		.id = "isolated",
		.profiles = LATENCY,
		.title = "CPUs that the scheduler leaves alone",
		.why = "On a CPU that is not isolated the scheduler may put any other thread, "
		       "for some milliseconds at a time, while a message waits. "
		       "isolcpus=managed_irq,domain,LIST takes CPUs out of its balance, so that "
		       "only who asks for them by affinity runs there, and keeps the interrupts "
		       "of devices with a queue for each CPU away. It costs those CPUs to all "
		       "other programs, and can be had at boot only. A cpuset partition of the "
		       "type isolated does most of it while the system runs: echo LIST > "
		       "cpuset.cpus; echo isolated > cpuset.cpus.partition, in a cgroup.",
		.path = "/sys/devices/system/cpu/isolated",
		.harm = "other programs may be put on these CPUs at any time, and the message "
			"waits until they have had their turn",
		.look = look_isolated,
	},
	{
		.id = "nohz-full",
		.profiles = LATENCY,
		.title = "CPUs without a periodic tick",
		.why = "100 to 1000 times a second the timer interrupts each CPU that is not "
		       "idle, for 1 to 5 us, and deferred work (RCU callbacks, timers) comes "
		       "with it. With nohz_full=LIST a CPU that has one runnable thread has no "
		       "tick, and its RCU callbacks run elsewhere. Entering the kernel costs "
		       "there some 100 ns more, as it must be noted, so it is for threads that "
		       "spin, not for those that sleep. It needs a kernel with "
		       "CONFIG_NO_HZ_FULL, and can be had at boot only.",
		.path = "/sys/devices/system/cpu/nohz_full",
		.harm = "the timer interrupts a thread that spins there, 100 to 1000 times a "
			"second",
		.look = look_nohz_full,
	},
	{
		.id = "governor",
		.profiles = LATENCY | THROUGHPUT,
		.title = "frequency governor",
		.why = "The governor decides how fast a CPU is clocked by how busy it was in the "
		       "last milliseconds. A program that sleeps between messages looks idle, so "
		       "that each message is handled at a low clock, and it takes the hardware "
		       "up to some 100 us to change it. The governor performance keeps the "
		       "highest. With intel_pstate or amd-pstate in active mode, powersave does "
		       "not mean the lowest clock but that the hardware chooses, by the energy "
		       "preference. It costs power, and heat, which may lower how far all cores "
		       "together can be boosted.",
		.path = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
		.want = "performance",
		.bad = STATUS_WARN,
		.harm = "the clock goes down between messages, and takes its time to come up "
			"again",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_each_cpu,
	},
	{
		.id = "energy-preference",
		.profiles = LATENCY,
		.title = "energy preference of the hardware's own governor",
		.why = "Where the hardware chooses the clock (intel_pstate and amd-pstate in "
		       "active mode), this hint says how much it may save. With "
		       "balance_performance and below it raises the clock later, and lowers it "
		       "sooner, after a pause. With the governor performance the kernel sets it "
		       "to performance too, and accepts nothing else.",
		.path = "/sys/devices/system/cpu/cpu*/cpufreq/energy_performance_preference",
		.want = "performance",
		.bad = STATUS_WARN,
		.harm = "the hardware lowers the clock between messages to save power",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_each_cpu,
	},
	{
		.id = "boost",
		.profiles = LATENCY | THROUGHPUT,
		.title = "clocks above the nominal one",
		.why = "Boost (Turbo) clocks some cores above what all can hold at a time, "
		       "mostly by 20 to 60 %, which shortens all that a CPU does for a message "
		       "by as much. It is switched off by some operators since the clock then "
		       "depends on what other cores do. Whose times must be alike rather than "
		       "short may leave it off.",
		.path = "/sys/devices/system/cpu/cpufreq/boost",
		.bad = STATUS_WARN,
		.harm = "the CPUs run at their nominal clock, where they could run faster",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_boost,
	},
	{
		.id = "frequency-limit",
		.profiles = LATENCY | THROUGHPUT,
		.title = "limit on the clock",
		.why = "scaling_max_freq is a limit below what the CPU can do, mostly left by a "
		       "power profile, or by a tool for laptops. All that a CPU does for a "
		       "message takes longer by as much.",
		.path = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_max_freq",
		.bad = STATUS_WARN,
		.harm = "the clock is kept below what these CPUs can do",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_frequency_limit,
	},
	{
		.id = "idle-driver",
		.profiles = LATENCY,
		.title = "idle driver and governor",
		.why = "The idle driver knows the states in which a CPU may rest, and the "
		       "governor guesses how long the rest will be. In a guest of KVM without a "
		       "driver an idle CPU halts at once, which gives it back to the host: to "
		       "have it again takes an exit, the host's scheduler and an entry, some 20 "
		       "to 50 us. The driver haltpoll, with the governor of the same name, looks "
		       "for work for some time before it halts (see guest-halt-poll). It is "
		       "taken by itself only where the host says that CPUs are not shared, else "
		       "by force. The governor ladder climbs from state to state whatever wakes "
		       "the CPU; teo and menu learn.",
		.path = "/sys/devices/system/cpu/cpuidle/current_driver",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_idle_driver,
	},
	{
		.id = "idle-states",
		.profiles = LATENCY,
		.title = "idle states that take long to wake from",
		.why = "A CPU with nothing to do goes into the deepest state that pays for the "
		       "rest that the governor expects. To come back from it takes the latency "
		       "that the state names: about 1 us from C1, 100 to 400 us from the deep "
		       "ones, in which the caches are written back too. A peer that sleeps for a "
		       "message is woken by that much later, after pauses most of all. States of "
		       "more than 10 us can be disabled, here for the chosen CPUs, or for as "
		       "long as a program runs: peal-tune run --hold-latency holds "
		       "/dev/cpu_dma_latency at 0. It costs power, and boost for the other "
		       "cores.",
		.path = "/sys/devices/system/cpu/cpu*/cpuidle/state*/disable",
		.want = "10",
		.bad = STATUS_WARN,
		.harm = "whoever sleeps for a message is woken by that much later",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_SYS_ADMIN",
		.look = look_idle_states,
	},
	{
		.id = "guest-halt-poll",
		.profiles = LATENCY,
		.title = "polling before a guest halts",
		.why = "For so many nanoseconds the idle loop of a guest looks for work before "
		       "it gives the CPU back to the host. With 0 it halts at once, and each "
		       "wake is an exit to the host, an interrupt, and the host's scheduler: on "
		       "such a machine 200000 took a blocking round trip from 50 to 5 us. It "
		       "costs the host that time of its CPU at each pause. The driver haltpoll "
		       "is what looks at it (see idle-driver). peal-tune check --measure says "
		       "what a blocking round trip takes now; peal-tune apply --only "
		       "guest-halt-poll --measure says so before and after.",
		.path = "/sys/module/haltpoll/parameters/guest_halt_poll_ns",
		.want = "200000",
		.bad = STATUS_WARN,
		.harm = "each time both sides sleep the CPU goes back to the host, which took a "
			"blocking round trip from 5 to 50 us on such a machine",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_halt_poll,
	},
	{
		.id = "umwait",
		.profiles = LATENCY,
		.title = "limit on waits by UMWAIT and TPAUSE",
		.why = "Where the CPU has UMWAIT, Peal rests in it while it waits for a message "
		       "without the kernel. The kernel ends each such rest after max_time ticks "
		       "of the counter (100000 unless set, 30 to 50 us). A short limit only has "
		       "the loop run more often, and the core draw more power, which the sibling "
		       "and the boost of others pay for. The deeper of the two states, C0.2, can "
		       "be forbidden there too (enable_c02); it wakes some 0.5 us later, and "
		       "Peal never asks for it, so it is told and not judged.",
		.path = "/sys/devices/system/cpu/umwait_control/max_time",
		.want = "10000",
		.bad = STATUS_WARN,
		.harm = "waits by UMWAIT are cut so short that the core hardly rests",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_umwait,
	},
	{
		.id = "clocksource",
		.profiles = LATENCY | THROUGHPUT,
		.title = "clock of the kernel",
		.why = "clock_gettime reads the counter of the CPU without a system call, in "
		       "some 25 ns, as long as the kernel trusts that counter: tsc, kvm-clock, "
		       "Hyper-V's page, or arm64's and RISC-V's own. With hpet, acpi_pm or xen "
		       "each reading is a system call and an access to a device or a hypervisor, "
		       "of 1 to 3 us, also within the kernel, which looks at the clock at each "
		       "sleep and wake. When the kernel has found the counters of the CPUs to "
		       "differ it gives tsc up and says so in dmesg; tsc=reliable on its command "
		       "line takes its word away, which is right only where the firmware's "
		       "mistake is known.",
		.path = "/sys/devices/system/clocksource/clocksource0/current_clocksource",
		.bad = STATUS_WARN,
		.harm = "each look at the clock enters the kernel and asks a device, for a "
			"microsecond or more",
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_clocksource,
	},
	{
		.id = "irq-affinity",
		.profiles = LATENCY,
		.title = "interrupts on the chosen CPUs",
		.why = "An interrupt takes its CPU for 1 to 20 us, and the work that it leaves "
		       "(network packets most of all) for up to some milliseconds, while a "
		       "message waits. smp_affinity_list says where each may go. The queues of "
		       "NVMe disks and of some network cards are managed by the kernel and "
		       "refuse (EIO): those come only to CPUs that use them, and "
		       "isolcpus=managed_irq keeps them away. Judged for the CPUs of --cpus, or "
		       "for those that are isolated.",
		.path = "/proc/irq/*/smp_affinity_list",
		.bad = STATUS_WARN,
		.harm = "an interrupt, and the work behind it, takes the CPU while a message "
			"waits",
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_irq_affinity,
	},
	{
		.id = "irq-default",
		.profiles = LATENCY,
		.title = "CPUs of interrupts to come",
		.why = "default_smp_affinity is what an interrupt gets that is set up later, "
		       "when a driver is loaded or a device plugged in. It changes none of those "
		       "that are there: see irq-affinity. irqaffinity=LIST on the kernel's "
		       "command line sets it for all from the beginning.",
		.path = "/proc/irq/default_smp_affinity",
		.bad = STATUS_WARN,
		.harm = "interrupts of devices to come may go to the chosen CPUs",
		.persist = PERSIST_BOOT,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_mask,
	},
	{
		.id = "irqbalance",
		.profiles = LATENCY,
		.title = "irqbalance",
		.why = "irqbalance moves interrupts between CPUs every 10 seconds, by load, and "
		       "so undoes what irq-affinity sets. It leaves CPUs alone that are isolated "
		       "or without a tick, and those of IRQBALANCE_BANNED_CPULIST in its "
		       "configuration (/etc/default/irqbalance or /etc/sysconfig/irqbalance), "
		       "which are not looked at here.",
		.path = "/proc/*/comm",
		.bad = STATUS_WARN,
		.harm = "it moves interrupts to the chosen CPUs whenever the others are busier",
		.look = look_irqbalance,
	},
	{
		.id = "workqueues",
		.profiles = LATENCY,
		.title = "CPUs of the kernel's unbound work",
		.why = "Work that the kernel does not do at once, such as writing back pages, is "
		       "done by threads of its own. Those that are bound to no CPU run on any of "
		       "this mask, for some 10 us to milliseconds, between two messages or in "
		       "the middle of one.",
		.path = "/sys/devices/virtual/workqueue/cpumask",
		.bad = STATUS_WARN,
		.harm = "the kernel's own work may run on the chosen CPUs",
		.persist = PERSIST_TMPFILES,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_mask,
	},
	{
		.id = "numa-balancing",
		.profiles = LATENCY | THROUGHPUT,
		.title = "automatic NUMA balancing",
		.why = "To find out who uses which memory the kernel takes pages away from a "
		       "program now and then, and sees who faults on them: 1 to 2 us for each, "
		       "and more when it moves the page. Memory that two processes share, as a "
		       "ring is, and that is placed on purpose, gains nothing by that.",
		.path = "/proc/sys/kernel/numa_balancing",
		.rule = RULE_EQUAL,
		.want = "0",
		.bad = STATUS_WARN,
		.harm = "pages are unmapped time and again to see who uses them, and each first "
			"use of one is a fault",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_DAC_OVERRIDE",
	},
	{
		.id = "rt-throttling",
		.profiles = LATENCY,
		.title = "time limit of real-time threads",
		.why = "Before Linux 6.12 all threads under SCHED_FIFO and SCHED_RR together "
		       "have 950 ms of each second of a CPU. Who spins under them longer is "
		       "stopped for the other 50 ms, in which no message moves. -1 takes the "
		       "limit away; then such a thread that never sleeps keeps everything else "
		       "from its CPU for good, work of the kernel that is bound to it too. Since "
		       "6.12 the limit stops no thread, and only threads that starve get their "
		       "share of a CPU.",
		.path = "/proc/sys/kernel/sched_rt_runtime_us",
		.bad = STATUS_WARN,
		.harm = "who spins under SCHED_FIFO is stopped for the rest of each second",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_DAC_OVERRIDE",
		.look = look_rt_throttling,
	},
	{
		.id = "stat-interval",
		.profiles = LATENCY,
		.title = "how often memory is counted",
		.why = "Once in this many seconds each CPU that has used memory adds its "
		       "counters to those of the system. It does so in the kernel's work for "
		       "that CPU, which takes it from the running thread for some 5 us. 10 makes "
		       "that rarer; the figures in /proc/vmstat are by as much older.",
		.path = "/proc/sys/vm/stat_interval",
		.rule = RULE_AT_LEAST,
		.want = "10",
		.bad = STATUS_WARN,
		.harm = "work of the kernel takes each CPU from its thread once a second to add "
			"up counters",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_DAC_OVERRIDE",
	},
	{
		.id = "nmi-watchdog",
		.profiles = LATENCY,
		.title = "watchdog by interrupts that cannot be masked",
		.why = "To find CPUs that hang, a counter of the hardware interrupts each busy "
		       "CPU about every 10 seconds, for 1 to 3 us that nothing can put off. It "
		       "takes one of the few counters that perf could use, too. Without it a CPU "
		       "that hangs with its interrupts off is not reported. The other half of the "
		       "watchdog stays: a timer on each CPU every 4 seconds, which "
		       "kernel.watchdog = 0 would end as well.",
		.path = "/proc/sys/kernel/nmi_watchdog",
		.rule = RULE_EQUAL,
		.want = "0",
		.bad = STATUS_WARN,
		.harm = "an interrupt that nothing can put off comes to each busy CPU every 10 "
			"seconds",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_DAC_OVERRIDE",
	},
	{
		.id = "timer-migration",
		.profiles = LATENCY,
		.title = "timers that move to busy CPUs",
		.why = "With 1, timers that are not bound to a CPU expire on one that is awake, "
		       "so that idle ones may sleep on. A thread that spins makes its CPU look "
		       "awake, so it is the one that gets the timers of all others, 1 to 5 us "
		       "each. With 0 each expires where it was set. It costs idle CPUs some "
		       "sleep. Since Linux 6.9 CPUs without a tick (nohz-full) are left out by "
		       "themselves.",
		.path = "/proc/sys/kernel/timer_migration",
		.rule = RULE_EQUAL,
		.want = "0",
		.bad = STATUS_WARN,
		.harm = "a CPU that spins gets the timers of those that sleep",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_DAC_OVERRIDE",
	},
	{
		.id = "compaction",
		.profiles = LATENCY,
		.title = "compaction of memory in the background",
		.why = "To have large pages in store the kernel moves pages together in the "
		       "background, when this is above 0. A page that is moved is unmapped "
		       "meanwhile: who touches it faults and waits, and each CPU that runs the "
		       "program is interrupted to forget the old place. Huge pages that are "
		       "reserved (see huge-pages) need none of it.",
		.path = "/proc/sys/vm/compaction_proactiveness",
		.rule = RULE_EQUAL,
		.want = "0",
		.bad = STATUS_WARN,
		.harm = "pages are moved in the background, and who touches one meanwhile waits",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_DAC_OVERRIDE",
	},
	{
		.id = "compaction-locked",
		.profiles = LATENCY,
		.title = "compaction of locked memory",
		.why = "Locked memory is never swapped out, but with 1 it may be moved when the "
		       "kernel makes room for large pages: who touches a page meanwhile faults "
		       "and waits, also a real-time thread that has locked all it has. With 0 "
		       "locked pages stay where they are, at the price of some large pages.",
		.path = "/proc/sys/vm/compact_unevictable_allowed",
		.rule = RULE_EQUAL,
		.want = "0",
		.bad = STATUS_WARN,
		.harm = "locked pages may be moved too, and who touches one meanwhile waits",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_DAC_OVERRIDE",
	},
	{
		.id = "steal",
		.profiles = ALL,
		.title = "time that the hypervisor took",
		.why = "When a host has more virtual CPUs to run than it has real ones, some "
		       "wait, and the guest counts that as steal. A CPU is mostly gone for some "
		       "milliseconds at a time; a peer that spins meanwhile sees nothing but a "
		       "message that does not come. Nothing in the guest mends it: ask for CPUs "
		       "of your own, or a less crowded host. peal-tune jitter shows each gap.",
		.path = "/proc/stat",
		.bad = STATUS_WARN,
		.harm = "the host gives these CPUs to others for some of the time",
		.look = look_steal,
	},
	{
		.id = "rtprio",
		.profiles = LATENCY,
		.title = "right to real-time scheduling",
		.why = "Under SCHED_FIFO a thread is not stopped for others, and when it wakes "
		       "it runs at once instead of in its turn. It takes CAP_SYS_NICE, or a "
		       "limit of real-time priority (RLIMIT_RTPRIO) above 0. peal-tune run "
		       "--fifo starts a program so.",
		.bad = STATUS_WARN,
		.harm = "a thread that wakes for a message runs in its turn, behind others of its "
			"CPU",
		.look = look_rtprio,
	},
	{
		.id = "ring-nodes",
		.profiles = LATENCY | THROUGHPUT,
		.title = "NUMA nodes of a live process's rings",
		.why = "With --pid: on which nodes the pages of the process's rings are, as its "
		       "numa_maps says, and of which nodes the CPUs are that its threads may "
		       "use, or --node. A page is on the node of the CPU that touched it first, "
		       "unless a policy says otherwise; when threads are pinned later, or the "
		       "peer was first, it is far from who reads it most, at 50 ns and more for "
		       "each line. The program can name the node (node in struct peal_options), "
		       "peal-tune run --node starts it so, and migratepages (of numactl) moves "
		       "what is there.",
		.bad = STATUS_WARN,
		.harm = "pages of its rings are on nodes where none of its threads may run",
		.look = look_ring_nodes,
	},
	{
		.id = "ring-pages",
		.profiles = LATENCY | THROUGHPUT,
		.title = "pages of a live process's rings",
		.why = "With --pid: whether rings of 2 MiB and more are on huge pages, as its "
		       "smaps says. On pages of 4 KiB a large ring needs more entries than the "
		       "CPU keeps of its page tables, and each one missing costs 10 to 30 ns. "
		       "The program asks for them (huge in struct peal_options, or "
		       "PEAL_HUGEPAGES in its environment), and huge-pages tells whether the "
		       "system has any.",
		.bad = STATUS_WARN,
		.harm = "rings of 2 MiB and more are on small pages: PEAL_HUGEPAGES=try in its "
			"environment asks for huge ones",
		.look = look_ring_pages,
	},
	{
		.id = "swappiness",
		.profiles = ALL,
		.title = "how readily the kernel swaps",
		.why = "Memory that is swapped out comes back at the speed of a disk, in the "
		       "middle of a message. A swappiness of up to 10 lets the kernel drop file "
		       "pages long before it swaps out the memory of programs. Rings that are "
		       "locked (PEAL_LOCK) are never swapped; the rest of the program is.",
		.path = "/proc/sys/vm/swappiness",
		.rule = RULE_AT_MOST,
		.want = "10",
		.bad = STATUS_WARN,
		.harm = "the kernel may swap out a program's memory while there is other to be had",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_SYS_ADMIN",
		.look = look_swappiness,
	},

	/* Limits. */
	{
		.id = "nofile",
		.profiles = ALL,
		.title = "descriptors a process may open",
		.why = "A server has a socket for each client, and one descriptor more where it "
		       "is rung by an eventfd, which is the default. Out of descriptors it "
		       "refuses newcomers, with that reason. The soft limit, often 1024, can be "
		       "raised by any process up to the hard one. Counted are two for each of "
		       "--clients, and 64 beside.",
		.look = look_nofile,
	},
	{
		.id = "file-max",
		.profiles = ALL,
		.title = "open files of the whole machine",
		.why = "What all processes have open together is limited too. A client and its "
		       "server have two each; counted are four for each of --clients, and 4096 "
		       "beside.",
		.look = look_file_max,
	},
	{
		.id = "max-map-count",
		.profiles = ALL,
		.title = "mappings a process may have",
		.why = "A link is four mappings in each process: two rings, each mapped twice, so "
		       "that a message is in one piece wherever it lies. The usual limit of 65530 "
		       "ends a server at some 16,000 clients. Counted are four for each of "
		       "--clients, and 1024 beside.",
		.look = look_max_map_count,
	},
	{
		.id = "pipe-pages",
		.profiles = ALL,
		.title = "pages that a user's pipes may have",
		.why = "Links have no pipes, but programs with many clients often do, one for "
		       "each. A user whose pipes have more pages together than "
		       "fs.pipe-user-pages-soft gets new ones of one or two pages, which are full "
		       "at once. A pipe has 16; who has CAP_SYS_RESOURCE is not limited.",
		.look = look_pipe_pages,
	},
	{
		.id = "somaxconn",
		.profiles = ALL,
		.title = "connections that may wait to be accepted",
		.why = "Clients that come faster than a server accepts them wait in a queue, "
		       "which the system cuts to this length whatever the server asks for (1024 "
		       "by default). Behind a full one clients try again, with pauses.",
		.path = "/proc/sys/net/core/somaxconn",
		.rule = RULE_AT_LEAST,
		.want = "1024",
		.bad = STATUS_WARN,
		.harm = "when many clients come at once some must try again, with pauses",
		.persist = PERSIST_SYSCTL,
		.capability = "CAP_NET_ADMIN",
	},

	/* What it runs under. */
	{
		.id = "hypervisor",
		.profiles = ALL,
		.title = "whether this is a virtual machine",
		.why = "In a virtual machine a CPU that halts, and the interrupt that wakes it, "
		       "are the host's business: a blocking round trip costs tens of microseconds "
		       "where the same hardware takes five. Halt polling in the guest helps, and "
		       "so does spinning. Whether the host takes a CPU away is seen by peal-tune "
		       "jitter alone. There is nothing to mend in this.",
		.look = look_hypervisor,
	},
	{
		.id = "container",
		.profiles = ALL,
		.title = "whether this is a container",
		.why = "A container shares its kernel with the host: what is in /sys, and most of "
		       "/proc/sys, is the host's, mostly read-only here, and a change would be "
		       "for all. Limits (ulimit), control groups and the CPUs are given by who "
		       "starts the container. docs/containers.md has what Peal needs. There is "
		       "nothing to mend in this.",
		.look = look_container,
	},
	{
		.id = "seccomp",
		.profiles = ALL,
		.title = "whether system calls are filtered",
		.why = "Container runtimes filter system calls. Peal works under the usual "
		       "filters; docs/containers.md has what it does without each call. A filter "
		       "costs each call some tens of nanoseconds, and no message while both sides "
		       "are awake makes any.",
		.look = look_seccomp,
	},
	{
		.id = "capabilities",
		.profiles = ALL,
		.title = "what privileges are at hand",
		.why = "Peal needs none. CAP_IPC_LOCK locks memory beyond the limit, CAP_SYS_NICE "
		       "gives real-time priority, CAP_SYS_RESOURCE raises hard limits, and "
		       "CAP_SYS_ADMIN sets most of what is found here. There is nothing to mend "
		       "in this.",
		.look = look_capabilities,
	},
};

const unsigned checks_count = sizeof(checks) / sizeof(checks[0]);

const struct check *check_find(const char *id)
{
	for (unsigned i = 0; i < checks_count; i++)
		if (!strcmp(checks[i].id, id))
			return &checks[i];
	return NULL;
}

/* Letters to change, add or leave out to make one of the other (Levenshtein's distance); of what is
 * longer than an id can be, its beginning. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[33];
	size_t most = sizeof(row) / sizeof(row[0]) - 1, length = strlen(b);

	if (length > most)
		length = most;
	for (unsigned k = 0; k <= length; k++)
		row[k] = k;
	for (unsigned i = 0; i < most && a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (size_t k = 1; k <= length; k++) {
			unsigned above = row[k], least = diagonal + (a[i] != b[k - 1]);

			if (above + 1 < least)
				least = above + 1;
			if (row[k - 1] + 1 < least)
				least = row[k - 1] + 1;
			diagonal = above;
			row[k] = least;
		}
	}
	return row[length];
}

const char *check_nearest(const char *word)
{
	const char *nearest = NULL;
	unsigned least = 0;

	for (unsigned i = 0; i < checks_count; i++) {
		unsigned here = distance(checks[i].id, word);

		if (!nearest || here < least) {
			nearest = checks[i].id;
			least = here;
		}
	}
	return nearest;
}

/* --- rows of one file and one rule ------------------------------------------------------------ */

/* Whether word is one of those in list, between |. */
static bool is_one_of(const char *word, const char *list)
{
	size_t length = strlen(word);

	for (;;) {
		size_t one = strcspn(list, "|");

		if (one == length && !memcmp(list, word, length))
			return true;
		if (!list[one])
			return false;
		list += one + 1;
	}
}

/* 0 and what is the case, in word; or -EINVAL. */
static int judge(const struct check *check, const char *text, char *word, size_t size, bool *good)
{
	int64_t is, want;

	if (check->rule == RULE_CHOICE) {
		if (!strchr(text, '[')) {
			if (!*text || strlen(text) >= size || strpbrk(text, " \t\n"))
				return -EINVAL;
			memcpy(word, text, strlen(text) + 1);
		} else if (parse_choice(text, word, size)) {
			return -EINVAL;
		}
		*good = is_one_of(word, check->want);
		return 0;
	}
	if (parse_number(text, &is) || parse_number(check->want, &want))
		return -EINVAL;
	snprintf(word, size, "%" PRId64, is);
	*good = check->rule == RULE_EQUAL    ? is == want :
		check->rule == RULE_AT_LEAST ? is >= want :
					       is <= want;
	return 0;
}

static void say_wanted(const struct check *check, struct finding *finding)
{
	static const char *const before[] = {
		[RULE_AT_LEAST] = "at least ", [RULE_AT_MOST] = "at most ", [RULE_CHOICE] = ""
	};
	char *bar;

	finding_wanted(finding, "%s%s", before[check->rule] ? before[check->rule] : "",
		       check->want);
	while ((bar = strchr(finding->wanted, '|')))
		*bar = '/';
}

void look_row(const struct check *check, const struct machine *machine, struct findings *findings)
{
	char *text, word[64], value[64];
	int64_t length = tree_read(&machine->tree, check->path, &text);
	struct finding *finding;
	bool good = false;

	if (length < 0) {
		finding_add(findings, check, status_of_error((int)length), "", check->path);
		return;
	}
	finding = finding_add(findings, check, STATUS_OK, "", check->path);
	if (judge(check, text, word, sizeof(word), &good)) {
		finding->status = STATUS_WARN;
	} else {
		finding_current(finding, "%s", word);
		say_wanted(check, finding);
		if (!good) {
			finding->status = check->bad;
			finding_why(finding, "%s", check->harm);
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(check->want, "|"),
				 check->want);
			fix_write(finding, check->path, value, check->capability);
			fix_persist(finding, check->persist, NULL);
		}
	}
	free(text);
}

/* --- all -------------------------------------------------------------------------------------- */

const char *profile_name(unsigned profiles)
{
	switch (profiles) {
	case PROFILE_LATENCY:
		return "latency";
	case PROFILE_THROUGHPUT:
		return "throughput";
	case PROFILE_CONTAINER:
		return "container";
	case PROFILE_LATENCY | PROFILE_THROUGHPUT:
		return "latency or throughput";
	case PROFILE_LATENCY | PROFILE_CONTAINER:
		return "latency or container";
	case PROFILE_THROUGHPUT | PROFILE_CONTAINER:
		return "throughput or container";
	default:
		return "any";
	}
}

/* Of another profile: it is told, and not judged. */
static void excuse(struct finding *finding)
{
	finding->status = STATUS_OK;
	finding_wanted(finding, "%s", "");
	finding_why(finding, "it matters to the profile %s only",
		    profile_name(finding->check->profiles));
	fix_drop(finding);
}

/* The same question about one check, for who may read more. */
static void ask_again(const struct machine *machine, const struct check *check,
		      const char *capability, struct finding *finding)
{
	const struct wish *wish = &machine->wish;
	char *words = NULL, *root, list[CPUS_TEXT];

	text_set(&words, "sudo peal-tune check --only %s", check->id);
	if (wish->profile != PROFILE_LATENCY)
		text_set(&words, "%s --profile %s", words, profile_name(wish->profile));
	if (wish->has_cpus) {
		print_cpus(&wish->cpus, list, sizeof(list));
		text_set(&words, "%s --cpus %s", words, list);
	}
	if (wish->node >= 0)
		text_set(&words, "%s --node %d", words, wish->node);
	if (wish->bytes)
		text_set(&words, "%s --bytes %" PRIu64, words, wish->bytes);
	if (wish->clients)
		text_set(&words, "%s --clients %" PRIu64, words, wish->clients);
	if (wish->pid)
		text_set(&words, "%s --pid %" PRId64, words, wish->pid);
	if (*machine->tree.root) {
		root = shell_quote(machine->tree.root);
		text_set(&words, "%s --root %s", words, root);
		free(root);
	}
	fix_command(finding, capability, "%s", words);
	free(words);
}

static void finish(const struct machine *machine, struct finding *finding)
{
	const char *capability = finding->fix.capability;
	bool judged = finding->check->profiles & machine->wish.profile;

	switch (finding->status) {
	case STATUS_OK:
		break;
	case STATUS_ABSENT:
		fix_drop(finding);
		if (!*finding->why)
			finding_why(finding, "there is no %s here", finding->source);
		break;
	case STATUS_DENIED:
		if (!capability)
			capability = "CAP_DAC_READ_SEARCH";
		if (!*finding->why)
			finding_why(finding, "to read %s takes %s here", finding->source,
				    capability);
		fix_drop(finding);
		ask_again(machine, finding->check, capability, finding);
		break;
	default:
		if (!judged) {
			excuse(finding);
		} else if (!*finding->why) {
			/* What was found before that is not the whole mend. */
			fix_drop(finding);
			finding_why(finding, "what is in %s cannot be understood", finding->source);
		}
	}
	fix_finish(finding);
}

int checks_run(const struct machine *machine, const char *only, struct findings *findings)
{
	if (only && !check_find(only))
		return -ENOENT;
	for (unsigned i = 0; i < checks_count; i++) {
		unsigned first = findings->count;

		if (only && strcmp(checks[i].id, only) != 0)
			continue;
		if (checks[i].look)
			checks[i].look(&checks[i], machine, findings);
		else
			look_row(&checks[i], machine, findings);
		for (unsigned k = first; k < findings->count; k++)
			finish(machine, &findings->all[k]);
	}
	return 0;
}
