//go:build ignore

/*
 * redirect: every frame goes to the socket of the queue it came in on, or to the kernel where there
 * is none. Nothing else: this is the floor that steer is measured against, and what a load
 * generator attaches, which owns its whole interface.
 */
#include "kernel.h"

struct {
	MAP_UINT(type, MAP_XSK);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u32);
	MAP_UINT(max_entries, 1); /* the loader sets the number of queues */
} xsks SECTION(".maps");

SECTION("xdp")
int redirect(struct xdp_md *ctx)
{
	return redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}

char terms[] SECTION("license") = "Apache-2.0";
