/*
 * Copies frames, with verdict and reason, to perf rings while somebody asks for it: frames that
 * were redirected never reach the kernel's stack, so this is the only place to see them. (A tracing
 * program attached to this one would do without a branch here, but many kernels are built or locked
 * down so that no such program loads.) Off, it costs steer a load and a branch.
 *
 * A ring that is full loses the frame for the reader, not for the network; the loss is counted. A
 * reader that dies takes its rings along, and the first frame that finds none switches capture off.
 *
 * The kernel lends bpf_perf_event_output to GPL-compatible programs only. Therefore this folder's C
 * files are offered under Apache-2.0 or GPL-2.0, as you choose.
 */
#pragma once
#include "frame.h"
#include "kernel.h"

enum capture_mode {
	CAPTURE_OFF,
	CAPTURE_REDIRECTED,
	CAPTURE_ALL,
};

/* Written by the reader, but for the switching-off above. */
struct capture_order {
	enum capture_mode mode;
	u32 snap_bytes; /* at most so much of each frame */
};

/* Precedes the frame's bytes in the ring; event.go reads it field by field. */
struct event {
	u64 time_ns; /* CLOCK_MONOTONIC */
	u32 queue;
	u32 verdict;
	u32 reason;
	u32 frame_bytes;    /* of the whole frame */
	u32 captured_bytes; /* that follow this */
	u32 unused;
};
_Static_assert(sizeof(struct event) == 32, "metaBytes in event.go");

struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct capture_order);
	MAP_UINT(max_entries, 1);
} capture SECTION(".maps");

/* One ring per CPU; the reader puts them in. */
struct {
	MAP_UINT(type, MAP_PERF_EVENT_ARRAY);
	MAP_UINT(key_size, sizeof(u32));
	MAP_UINT(value_size, sizeof(u32));
} capture_rings SECTION(".maps");

struct {
	MAP_UINT(type, MAP_PERCPU_ARRAY);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
	MAP_UINT(max_entries, 1);
} capture_lost SECTION(".maps");

static ALWAYS_INLINE void capture_frame(struct xdp_md *ctx, u32 verdict, u32 reason)
{
	u32 zero = 0;
	struct capture_order *order = map_lookup(&capture, &zero);

	if (!order || !unlikely(order->mode))
		return;
	if (order->mode == CAPTURE_REDIRECTED && verdict != XDP_REDIRECT)
		return;

	u32 snap_bytes = order->snap_bytes;
	struct event event = {
		.time_ns = ktime_get_ns(),
		.queue = ctx->rx_queue_index,
		.verdict = verdict,
		.reason = reason,
		.frame_bytes = frame_bytes(ctx),
	};
	event.captured_bytes = event.frame_bytes < snap_bytes ? event.frame_bytes : snap_bytes;
	u64 flags = (u64)event.captured_bytes << PACKET_SHIFT | CURRENT_CPU;
	s64 err = perf_event_output(ctx, &capture_rings, flags, &event, sizeof(event));
	if (!err)
		return;
	if (err == -ENOENT)
		order->mode = CAPTURE_OFF;
	u64 *lost = map_lookup(&capture_lost, &zero);
	if (lost)
		*lost += 1;
}
