//go:build ignore

/*
 * steer: decides, for each frame that an interface receives, between dunlin and the kernel's stack.
 *
 *   destination MAC not ours ------------------------------------------------> kernel
 *   EtherType registered, with a payload ------------------------------------> socket of the queue
 *   EtherType registered, no payload at all ---------------------------------> dropped
 *   IPv4 (no options, no fragment) or IPv6 (no extension header), UDP,
 *     (address, port) registered, lengths within the frame ------------------> socket of the queue
 *   everything else ---------------------------------------------------------> kernel
 *
 * Whatever is not certainly ours is the kernel's, also when it is broken: its stack has counters
 * that an administrator knows, and a program that drops what it does not understand is a bad
 * neighbour. The one frame dropped here has an EtherType that the kernel has no handler for and
 * nothing in it. No checksum is verified here: the receiver does that if it wants to, where the
 * bytes are warm.
 *
 * Each frame is counted once, under the reason for its verdict.
 */
#include "capture.h"
#include "frame.h"
#include "kernel.h"

/* Why a frame went where it went. The names and their order are the Go side's too (reason.go). */
enum reason {
	TAKEN_ETHERTYPE,
	TAKEN_UDP4,
	TAKEN_UDP6,
	NO_SOCKET,
	DROPPED_EMPTY,
	PASSED_OTHER_HOST,
	PASSED_GROUP,
	PASSED_VLAN,
	PASSED_ETHERTYPE,
	PASSED_PROTOCOL,
	PASSED_FRAGMENT,
	PASSED_OPTIONS,
	PASSED_EXTENSION,
	PASSED_PORT,
	BAD_ETHERNET,
	BAD_IPV4,
	BAD_IPV6,
	BAD_UDP,
	REASONS,
};

enum {
	ETH_BYTES = 14, /* what struct eth has without the compiler's padding */
	ETH_IPV4 = 0x0800,
	ETH_VLAN = 0x8100,
	ETH_IPV6 = 0x86dd,
	ETH_QINQ = 0x88a8,
	PROTO_HOP_BY_HOP = 0,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_ESP = 50,
	PROTO_AUTH = 51,
	PROTO_DEST_OPTIONS = 60,
	PROTO_MOBILITY = 135,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
	IPV4_FRAGMENT_BITS = 0x3fff, /* more-fragments and the offset; do-not-fragment is no fragment */
	GROUP_BIT = 1,               /* of the first address byte: multicast and broadcast */
};

/*
 * Headers as they lie in the frame; fields in wire order. Words are loaded whole although they may
 * lie on half-word boundaries: the machines that dunlin runs on (amd64, arm64) do not mind.
 */
struct eth {
	u32 dst_head;
	u16 dst_tail;
	u8 src[6];
	u16 type;
};

struct ipv4 {
	u8 version_ihl;
	u8 tos;
	u16 total;
	u16 id;
	u16 fragment;
	u8 ttl;
	u8 protocol;
	u16 checksum;
	u32 src;
	u32 dst;
};

struct ipv6 {
	u32 version_class_flow;
	u16 payload;
	u8 next;
	u8 hops;
	u32 src[4];
	u32 dst[4];
};

struct udp {
	u16 src;
	u16 dst;
	u16 length;
	u16 checksum;
};

/*
 * The version is part of the key, so that an IPv6 packet to ::ffff:a.b.c.d cannot pose as an IPv4
 * one. Address and port are in wire order.
 */
struct endpoint {
	u32 addr[4]; /* IPv4 as ::ffff:a.b.c.d */
	u16 port;
	u16 version;
};

struct {
	MAP_UINT(type, MAP_XSK);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u32);
	MAP_UINT(max_entries, 1); /* the loader sets the number of queues */
} xsks SECTION(".maps");

/* Our MAC in the low six bytes, wire order. One word, so that a change is never seen half. */
struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
	MAP_UINT(max_entries, 1);
} config SECTION(".maps");

/*
 * One bit for each of the 65,536 EtherTypes: the look-up is inlined by the kernel to one load
 * whatever the number of registered types is, and the few lines that real traffic touches (8 KiB in
 * all) stay in the cache.
 */
struct {
	MAP_UINT(type, MAP_ARRAY);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
	MAP_UINT(max_entries, 65536 / 64);
} ethertypes SECTION(".maps");

struct {
	MAP_UINT(type, MAP_HASH);
	MAP_TYPE(key, struct endpoint);
	MAP_TYPE(value, u8); /* presence is all */
	MAP_UINT(max_entries, 1); /* the loader sets MaxEndpoints */
} endpoints SECTION(".maps");

struct {
	MAP_UINT(type, MAP_PERCPU_ARRAY);
	MAP_TYPE(key, enum reason);
	MAP_TYPE(value, u64);
	MAP_UINT(max_entries, REASONS);
} counters SECTION(".maps");

static ALWAYS_INLINE int ethertype_registered(u32 type)
{
	u32 word = type / 64;
	u64 *bits = map_lookup(&ethertypes, &word);

	return bits && *bits >> type % 64 & 1;
}

/* A UDP header at offset, behind an IP header that says that payload bytes follow it. */
static ALWAYS_INLINE enum reason udp(struct xdp_md *ctx, u64 offset, u64 payload,
				     struct endpoint *to, enum reason taken)
{
	void *end = (void *)(u64)ctx->data_end;
	struct udp *udp = (void *)(u64)ctx->data + offset;

	/* An IP payload too short for the ports is nobody's; one too short for the rest is to's. */
	if (payload < sizeof(*udp) || (void *)(udp + 1) > end)
		return BAD_UDP;
	to->port = udp->dst;
	if (!map_lookup(&endpoints, to))
		return PASSED_PORT;
	u64 length = SWAP16(udp->length);
	if (length < sizeof(*udp) || length > payload)
		return BAD_UDP;
	return taken;
}

static ALWAYS_INLINE enum reason ipv4(struct xdp_md *ctx)
{
	void *end = (void *)(u64)ctx->data_end;
	struct ipv4 *ip = (void *)(u64)ctx->data + ETH_BYTES;

	if ((void *)(ip + 1) > end)
		return BAD_IPV4;
	u64 header = (ip->version_ihl & 0xf) * 4;
	u64 total = SWAP16(ip->total);
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || total < header ||
	    !within(ctx, ETH_BYTES, total))
		return BAD_IPV4;
	if (header != sizeof(*ip))
		return PASSED_OPTIONS;
	if (ip->fragment & SWAP16(IPV4_FRAGMENT_BITS))
		return PASSED_FRAGMENT;
	if (ip->protocol != PROTO_UDP)
		return PASSED_PROTOCOL;

	struct endpoint to = { .addr = { 0, 0, SWAP16(0xffff) << 16, ip->dst }, .version = 4 };
	return udp(ctx, ETH_BYTES + sizeof(*ip), total - sizeof(*ip), &to, TAKEN_UDP4);
}

static ALWAYS_INLINE enum reason ipv6_next(u8 next)
{
	switch (next) {
	case PROTO_FRAGMENT:
		return PASSED_FRAGMENT;
	case PROTO_HOP_BY_HOP:
	case PROTO_ROUTING:
	case PROTO_ESP:
	case PROTO_AUTH:
	case PROTO_DEST_OPTIONS:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return PASSED_EXTENSION;
	default:
		return PASSED_PROTOCOL;
	}
}

static ALWAYS_INLINE enum reason ipv6(struct xdp_md *ctx)
{
	void *end = (void *)(u64)ctx->data_end;
	struct ipv6 *ip = (void *)(u64)ctx->data + ETH_BYTES;

	if ((void *)(ip + 1) > end)
		return BAD_IPV6;
	u64 payload = SWAP16(ip->payload);
	if ((ip->version_class_flow & 0xf0) != 0x60 ||
	    !within(ctx, ETH_BYTES + sizeof(*ip), payload))
		return BAD_IPV6;
	if (ip->next != PROTO_UDP)
		return ipv6_next(ip->next);

	struct endpoint to = {
		.addr = { ip->dst[0], ip->dst[1], ip->dst[2], ip->dst[3] },
		.version = 6,
	};
	return udp(ctx, ETH_BYTES + sizeof(*ip), payload, &to, TAKEN_UDP6);
}

static ALWAYS_INLINE enum reason classify(struct xdp_md *ctx)
{
	void *end = (void *)(u64)ctx->data_end;
	struct eth *eth = (void *)(u64)ctx->data;
	u32 zero = 0;
	u64 *mac = map_lookup(&config, &zero);

	if (!mac || (void *)eth + ETH_BYTES > end)
		return BAD_ETHERNET;
	if (unlikely(((u64)eth->dst_tail << 32 | eth->dst_head) != *mac))
		return eth->dst_head & GROUP_BIT ? PASSED_GROUP : PASSED_OTHER_HOST;

	u16 type = SWAP16(eth->type);
	if (ethertype_registered(type))
		return within(ctx, ETH_BYTES, 1) ? TAKEN_ETHERTYPE : DROPPED_EMPTY;
	switch (type) {
	case ETH_IPV4:
		return ipv4(ctx);
	case ETH_IPV6:
		return ipv6(ctx);
	case ETH_VLAN:
	case ETH_QINQ:
		return PASSED_VLAN;
	default:
		return PASSED_ETHERTYPE;
	}
}

SECTION("xdp")
int steer(struct xdp_md *ctx)
{
	enum reason reason = classify(ctx);
	int verdict = XDP_PASS;

	if (reason == DROPPED_EMPTY) {
		verdict = XDP_DROP;
	} else if (reason <= TAKEN_UDP6) {
		verdict = redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
		if (verdict != XDP_REDIRECT)
			reason = NO_SOCKET;
	}

	u64 *count = map_lookup(&counters, &reason);
	if (count)
		*count += 1; /* per CPU: XDP runs in softirq, nobody interrupts this */
	capture_frame(ctx, verdict, reason);
	return verdict;
}

char terms[] SECTION("license") = "GPL"; /* capture.h says why */
