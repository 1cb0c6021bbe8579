/* How long a frame is, in one buffer or in several. */
#pragma once
#include "kernel.h"

/*
 * Set before loading. Without it the verifier prunes the call that kernels before 5.18 lack, and a
 * frame ends where its linear part does.
 */
const volatile u8 frags = 0;

static ALWAYS_INLINE u64 linear_bytes(struct xdp_md *ctx)
{
	return (void *)(u64)ctx->data_end - (void *)(u64)ctx->data;
}

static ALWAYS_INLINE u64 frame_bytes(struct xdp_md *ctx)
{
	return frags ? xdp_get_buff_len(ctx) : linear_bytes(ctx);
}

/* Whether length bytes from offset are in the frame. Only a multi-buffer frame asks the kernel. */
static ALWAYS_INLINE int within(struct xdp_md *ctx, u64 offset, u64 length)
{
	return offset + length <= linear_bytes(ctx) || offset + length <= frame_bytes(ctx);
}
