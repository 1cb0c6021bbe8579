package config

import (
	"fmt"
	"math/bits"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dunlin-io/dunlin/core"
)

// Bounds of sizes. Those of rings, frames and workers are the bounds of the memory layout that
// iokernel and runtime share (package dataplane).
const (
	MaxRuntimes  = 64 // guess: more than a machine has cores to give
	MaxEndpoints = 64 // of one runtime: guess; of all, see maxUDP

	maxWorkers     = 120 // of a runtime: each costs up to 2 of a message's 253 files (SCM_MAX_FD)
	minRingEntries = 64  // one burst
	maxRingEntries = 1 << 14
	minFrames      = 128 // per worker: a burst on its way in and one on its way out
	maxFrames      = 1 << 20
	minChunkBytes  = 2048 // AF_XDP in aligned mode: 2048, or a page
	maxChunkBytes  = 4096
	pageBytes      = 4096

	maxUDP        = 1024           // UDP endpoints of all runtimes: the program's map
	maxSpin       = core.Second    // longer is meant to be poll: spin
	maxName       = 15             // of an interface: IFNAMSIZ with its end
	maxSocketPath = 107            // sockaddr_un with its end
	reservedBelow = uint16(0x0600) // such an EtherType is a length, IEEE 802.3 clause 3.2.6
)

// Validate reports everything in c that cannot work, as joined *Problems.
func (c Config) Validate() error { return c.validate().err() }

func (c *Config) validate() problems {
	var p problems
	if name := c.Interface; name == "" {
		p.add("interface", "is required: name the network interface to serve, like veth0")
	} else if len(name) > maxName || strings.ContainsAny(name, "/ \t\n\x00:") ||
		name == "." || name == ".." {
		p.add("interface", "%q cannot be the name of an interface", name)
	}
	if c.Spin > maxSpin {
		p.add("spin", "%s is more than %s; poll: spin never sleeps", FormatTime(c.Spin),
			FormatTime(maxSpin))
	}
	p.sizes("xdp.", c.XDP.RingEntries, c.XDP.Frames, c.XDP.ChunkBytes, 1)
	c.validateCores(&p)
	c.validateControl(&p)
	if err := checkListen(c.Metrics.Listen); err != nil {
		p.add("metrics.listen", "%q: %v", c.Metrics.Listen, err)
	}
	if c.Metrics.Pprof && c.Metrics.Listen == "" {
		p.add("metrics.pprof", "is served at metrics.listen, which is empty")
	}
	c.validateRuntimes(&p)
	c.validateShares(&p)
	c.validateCluster(&p)
	return p
}

func (c *Config) validateControl(p *problems) {
	socket := c.Control.Socket
	switch {
	case !filepath.IsAbs(socket):
		p.add("control.socket", "%q: want an absolute path", socket)
	case len(socket) > maxSocketPath:
		p.add("control.socket", "path of %d bytes; the kernel takes at most %d", len(socket),
			maxSocketPath)
	case strings.ContainsRune(socket, 0):
		p.add("control.socket", "a path has no NUL")
	}
	if c.Control.Mode&0o600 != 0o600 {
		p.add("control.mode", "%v shuts the owner out; want 0600 or more", c.Control.Mode)
	}
}

func checkListen(listen string) error {
	if listen == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("want host:port like 127.0.0.1:9911, or nothing for no server")
	}
	return nil
}

// sizes checks the three sizes of a frame memory and its rings, whose keys begin with prefix.
func (p *problems) sizes(prefix string, ringEntries, frames, chunkBytes, workers int) {
	if ringEntries < minRingEntries || ringEntries > maxRingEntries ||
		bits.OnesCount(uint(ringEntries)) != 1 {
		p.add(prefix+"ring_entries", "%d: want a power of two from %d to %d", ringEntries,
			minRingEntries, maxRingEntries)
	}
	if chunkBytes != minChunkBytes && chunkBytes != maxChunkBytes {
		p.add(prefix+"chunk_bytes", "%d: want %d or %d", chunkBytes, minChunkBytes, maxChunkBytes)
		return
	}
	if frames < minFrames*workers || frames > maxFrames || frames*chunkBytes%pageBytes != 0 {
		p.add(prefix+"frames", "%d: want %d to %d (at least %d for each worker), and full pages "+
			"of %d bytes", frames, minFrames*workers, maxFrames, minFrames, pageBytes)
	}
}
