# SPDX-License-Identifier: MIT
#
# The commands. They use the public headers only and link the shared library. They are built at the
# top of the build folder.

bin_PROGRAMS += peal-cat
peal_cat_SOURCES = \
	tools/number.c \
	tools/number.h \
	tools/peal-cat/main.c \
	tools/peal-cat/report.c \
	tools/peal-cat/report.h \
	tools/peal-cat/stream.c \
	tools/peal-cat/stream.h \
	tools/standard.c \
	tools/standard.h
peal_cat_LDADD = libpeal.la
peal_cat_LDFLAGS =

bin_PROGRAMS += peal-info
peal_info_SOURCES = \
	tools/json.c \
	tools/json.h \
	tools/peal-info/calibrate.c \
	tools/peal-info/calibrate.h \
	tools/peal-info/figure.c \
	tools/peal-info/figure.h \
	tools/peal-info/main.c \
	tools/peal-info/peer.c \
	tools/peal-info/peer.h \
	tools/peal-info/report.c \
	tools/peal-info/report.h \
	tools/peal-info/text.c \
	tools/peal-info/text.h \
	tools/peal-info/trial.c \
	tools/peal-info/trial.h \
	tools/peal-perf/complaint.c \
	tools/peal-perf/complaint.h \
	tools/standard.c \
	tools/standard.h
peal_info_LDADD = libpeal.la -lm
peal_info_LDFLAGS =

bin_PROGRAMS += peal-perf
peal_perf_SOURCES = \
	tools/json.c \
	tools/json.h \
	tools/line.h \
	tools/number.c \
	tools/number.h \
	tools/peal-perf/bare.h \
	tools/peal-perf/buffers.c \
	tools/peal-perf/buffers.h \
	tools/peal-perf/client.c \
	tools/peal-perf/clients.c \
	tools/peal-perf/clients.h \
	tools/peal-perf/clients_report.c \
	tools/peal-perf/compare.c \
	tools/peal-perf/compare.h \
	tools/peal-perf/complaint.c \
	tools/peal-perf/complaint.h \
	tools/peal-perf/control.c \
	tools/peal-perf/control.h \
	tools/peal-perf/demo.c \
	tools/peal-perf/demo.h \
	tools/peal-perf/driver.c \
	tools/peal-perf/driver.h \
	tools/peal-perf/earlier.c \
	tools/peal-perf/earlier.h \
	tools/peal-perf/extras.c \
	tools/peal-perf/extras.h \
	tools/peal-perf/fields.c \
	tools/peal-perf/fields.h \
	tools/peal-perf/floor.c \
	tools/peal-perf/histogram.c \
	tools/peal-perf/histogram.h \
	tools/peal-perf/holdings.c \
	tools/peal-perf/holdings.h \
	tools/peal-perf/library.c \
	tools/peal-perf/library.h \
	tools/peal-perf/main.c \
	tools/peal-perf/matrix.c \
	tools/peal-perf/matrix.h \
	tools/peal-perf/meeting.c \
	tools/peal-perf/meeting.h \
	tools/peal-perf/memory.c \
	tools/peal-perf/memory.h \
	tools/peal-perf/options.c \
	tools/peal-perf/options.h \
	tools/peal-perf/orders.c \
	tools/peal-perf/orders.h \
	tools/peal-perf/outcome.c \
	tools/peal-perf/outcome.h \
	tools/peal-perf/pace.c \
	tools/peal-perf/pace.h \
	tools/peal-perf/partner.c \
	tools/peal-perf/partner.h \
	tools/peal-perf/payload.c \
	tools/peal-perf/payload.h \
	tools/peal-perf/peers.c \
	tools/peal-perf/percentiles.c \
	tools/peal-perf/percentiles.h \
	tools/peal-perf/plot.c \
	tools/peal-perf/plot.h \
	tools/peal-perf/process.c \
	tools/peal-perf/process.h \
	tools/peal-perf/progress.c \
	tools/peal-perf/progress.h \
	tools/peal-perf/report.c \
	tools/peal-perf/report.h \
	tools/peal-perf/results.c \
	tools/peal-perf/results.h \
	tools/peal-perf/run.c \
	tools/peal-perf/run.h \
	tools/peal-perf/server.c \
	tools/peal-perf/service.h \
	tools/peal-perf/service_peal.c \
	tools/peal-perf/service_uds.c \
	tools/peal-perf/slice.c \
	tools/peal-perf/slice.h \
	tools/peal-perf/stream.h \
	tools/peal-perf/table.c \
	tools/peal-perf/table.h \
	tools/peal-perf/touch.c \
	tools/peal-perf/touch.h \
	tools/peal-perf/transport.c \
	tools/peal-perf/transport.h \
	tools/peal-perf/transport_bare.c \
	tools/peal-perf/transport_mq.c \
	tools/peal-perf/transport_park.c \
	tools/peal-perf/transport_peal.c \
	tools/peal-perf/transport_pipe.c \
	tools/peal-perf/transport_set.c \
	tools/peal-perf/transport_socket.c \
	tools/peal-perf/transport_tcp.c \
	tools/peal-perf/watch.c \
	tools/peal-perf/watch.h \
	tools/peal-perf/width.c \
	tools/peal-perf/width.h \
	tools/standard.c \
	tools/standard.h
peal_perf_LDADD = libpeal.la $(CJSON_LIBS) $(MQ_LIBS) -lm
peal_perf_LDFLAGS =

bin_PROGRAMS += peal-top
peal_top_SOURCES = \
	tools/json.c \
	tools/json.h \
	tools/peal-top/column.c \
	tools/peal-top/column.h \
	tools/peal-top/format.c \
	tools/peal-top/format.h \
	tools/peal-top/json.c \
	tools/peal-top/main.c \
	tools/peal-top/output.h \
	tools/peal-top/prometheus.c \
	tools/peal-top/sample.c \
	tools/peal-top/sample.h \
	tools/peal-top/screen.c \
	tools/peal-top/screen.h \
	tools/peal-top/servers.c \
	tools/peal-top/servers.h \
	tools/peal-top/target.c \
	tools/peal-top/target.h \
	tools/peal-top/text.c \
	tools/standard.c \
	tools/standard.h
peal_top_CPPFLAGS = $(AM_CPPFLAGS) $(NCURSES_CFLAGS)
peal_top_LDADD = libpeal.la -lm $(NCURSES_LIBS)
peal_top_LDFLAGS =

bin_PROGRAMS += peal-tune
peal_tune_SOURCES = \
	tools/json.c \
	tools/json.h \
	tools/number.c \
	tools/number.h \
	tools/peal-tune/check.h \
	tools/peal-tune/check_cpu.c \
	tools/peal-tune/check_frequency.c \
	tools/peal-tune/check_idle.c \
	tools/peal-tune/check_kernel.c \
	tools/peal-tune/check_limits.c \
	tools/peal-tune/check_memory.c \
	tools/peal-tune/check_process.c \
	tools/peal-tune/checks.c \
	tools/peal-tune/command.h \
	tools/peal-tune/finding.c \
	tools/peal-tune/finding.h \
	tools/peal-tune/look.h \
	tools/peal-tune/machine.c \
	tools/peal-tune/main.c \
	tools/peal-tune/parse.c \
	tools/peal-tune/parse.h \
	tools/peal-tune/report.c \
	tools/peal-tune/report.h \
	tools/peal-tune/tree.c \
	tools/peal-tune/tree.h \
	tools/standard.c \
	tools/standard.h
# What changes things, and takes it back.
peal_tune_SOURCES += \
	tools/peal-tune/apply.c \
	tools/peal-tune/change.c \
	tools/peal-tune/change.h \
	tools/peal-tune/huge.c \
	tools/peal-tune/journal.c \
	tools/peal-tune/journal.h \
	tools/peal-tune/outcome.c \
	tools/peal-tune/outcome.h \
	tools/peal-tune/persist.c \
	tools/peal-tune/persist.h \
	tools/peal-tune/shell.c \
	tools/peal-tune/shell.h \
	tools/peal-tune/undo.c \
	tools/peal-tune/value.c \
	tools/peal-tune/value.h
# What starts programs, and what measures.
peal_tune_SOURCES += \
	tools/line.h \
	tools/peal-tune/affinity.c \
	tools/peal-tune/affinity.h \
	tools/peal-tune/gaps.c \
	tools/peal-tune/gaps.h \
	tools/peal-tune/heatmap.c \
	tools/peal-tune/heatmap.h \
	tools/peal-tune/hold.c \
	tools/peal-tune/hold.h \
	tools/peal-tune/jitter.c \
	tools/peal-tune/measure.c \
	tools/peal-tune/pairs.c \
	tools/peal-tune/pairs.h \
	tools/peal-tune/places.c \
	tools/peal-tune/places.h \
	tools/peal-tune/proof.c \
	tools/peal-tune/proof.h \
	tools/peal-tune/run.c \
	tools/peal-tune/seconds.c \
	tools/peal-tune/seconds.h \
	tools/peal-tune/tell.c \
	tools/peal-tune/tell.h \
	tools/peal-tune/topology.c
peal_tune_LDADD = libpeal.la $(LIBCAP_LIBS) $(LIBNUMA_LIBS) -lm
peal_tune_LDFLAGS =
