# SPDX-License-Identifier: MIT
#
# The manual pages, in mdoc, a folder for all sections. A page has the name of the first thing that
# it describes; of the other names in its NAME section "make install" makes links to it.

dist_man_MANS =

# The commands, and what is told of the whole.
dist_man_MANS += \
	man/peal-cat.1 \
	man/peal-info.1 \
	man/peal-perf.1 \
	man/peal-top.1 \
	man/peal-tune.8 \
	man/peal.7 \
	man/peal_ring.7 \
	man/peal_threat_model.7

# Section 3: options, links and messages.
dist_man_MANS += \
	man/peal_call.3 \
	man/peal_close.3 \
	man/peal_connect.3 \
	man/peal_error.3 \
	man/peal_link_agreed.3 \
	man/peal_link_fd.3 \
	man/peal_link_memory.3 \
	man/peal_link_tx.3 \
	man/peal_listen.3 \
	man/peal_options_init.3 \
	man/peal_pair.3 \
	man/peal_peek.3 \
	man/peal_recv.3 \
	man/peal_reserve.3 \
	man/peal_send.3 \
	man/peal_send_error.3 \
	man/peal_send_more.3 \
	man/peal_send_part.3

# Section 3: sets, servers, clients, counters, CPUs and the runtime.
dist_man_MANS += \
	man/peal_client_begin.3 \
	man/peal_client_call.3 \
	man/peal_client_fd.3 \
	man/peal_client_open.3 \
	man/peal_cpu_list.3 \
	man/peal_cpu_pair.3 \
	man/peal_cpu_pin.3 \
	man/peal_handlers.3 \
	man/peal_link_stats.3 \
	man/peal_monitor_open.3 \
	man/peal_reply.3 \
	man/peal_request_keep.3 \
	man/peal_runtime_fact.3 \
	man/peal_server_count.3 \
	man/peal_server_open.3 \
	man/peal_server_reply.3 \
	man/peal_server_run.3 \
	man/peal_set_arm.3 \
	man/peal_set_create.3 \
	man/peal_set_wait.3 \
	man/peal_ticks.3

EXTRA_DIST += man/names

install-data-local: install-man-links
uninstall-local: uninstall-man-links

# The pages are in the source folder, also where that is not the one to build in.
man_links = (cd $(srcdir) && man/names $(dist_man_MANS)) | while read -r section page name

install-man-links: install-man
	@$(man_links); do \
		(cd "$(DESTDIR)$(mandir)/man$$section" && rm -f "$$name.$$section" && \
			$(LN_S) "$$page.$$section" "$$name.$$section") || exit 1; \
	done

uninstall-man-links:
	@$(man_links); do rm -f "$(DESTDIR)$(mandir)/man$$section/$$name.$$section"; done

.PHONY: install-man-links uninstall-man-links
