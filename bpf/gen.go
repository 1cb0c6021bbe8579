package bpf

// The objects are built by one pinned compiler and committed, so that users need no clang; a test
// rebuilds them and compares the bytes. -mcpu=v3 (32-bit jumps and arithmetic) needs Linux 5.1.

//go:generate -command bpf2go go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-19 -target bpfel
//go:generate bpf2go -type reason -type capture_mode steer steer.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate bpf2go redirect redirect.c -- -mcpu=v3 -Wall -Wextra -Werror
