/*
 * The part of the kernel's BPF interface that the programs in this folder use: types, constants,
 * helper numbers and section names, so that clang alone compiles them (no kernel or libbpf
 * headers). Every number here is stable kernel ABI (include/uapi/linux/bpf.h).
 *
 * Words on the wire are read as little-endian machines see them: the objects are built for bpfel.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

/* Names that cilium/ebpf looks for in the object. */
#define SECTION(name) __attribute__((section(name), used))
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* BTF map definitions: a map is a struct whose pointer types carry the numbers. */
#define MAP_UINT(name, value) int (*name)[value]
#define MAP_TYPE(name, type) type *name

enum {
	MAP_HASH = 1,
	MAP_ARRAY = 2,
	MAP_PERF_EVENT_ARRAY = 4,
	MAP_PERCPU_ARRAY = 6,
	MAP_XSK = 17,
};

enum {
	XDP_DROP = 1,
	XDP_PASS = 2,
	XDP_REDIRECT = 4,
};

enum {
	ENOENT = 2,
	CURRENT_CPU = -1u, /* BPF_F_CURRENT_CPU: this CPU's ring of a perf event array */
	PACKET_SHIFT = 32, /* the flags' upper half: how many bytes of the packet to append */
};

/* What an XDP program is handed. The pointers are 32 bits here and 64 after verification. */
struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static u64 (*const ktime_get_ns)(void) = (void *)5;
static s64 (*const perf_event_output)(void *ctx, void *map, u64 flags, void *data,
				      u64 size) = (void *)25;
static s64 (*const redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static u64 (*const xdp_get_buff_len)(void *xdp) = (void *)188;

#define SWAP16(x) __builtin_bswap16(x)
#define unlikely(x) __builtin_expect(!!(x), 0)
