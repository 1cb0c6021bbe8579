package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/report"
)

// peersDir is the module of contestants that the product must not depend on.
const peersDir = "bench/peers"

// buildPatience is how long building it may take; it downloads modules the first time. (guess)
const buildPatience = 5 * time.Minute

// upOther is calls by a library of others: both ends are a program of that module.
func upOther(name, kind string) func(s *site) ([]*entrant, error) {
	return func(s *site) ([]*entrant, error) {
		program, err := s.buildPeers()
		if err != nil {
			return nil, err
		}
		p, err := s.pair(kind)
		if err != nil {
			return nil, err
		}
		to := at(p, portOther).String()
		server, err := s.start(birth{
			name: name + " server", command: []string{program, kind, "serve", to},
			cpu: s.cpus.server, uid: nobody, inside: s.in(lab.B),
		}, false)
		if err != nil {
			return nil, err
		}
		client, err := s.start(birth{
			name: name + " client", command: []string{program, kind, "call", to},
			cpu: s.cpus.generator, uid: nobody, input: true, inside: s.in(lab.A),
		}, false)
		if err != nil {
			return nil, err
		}
		return []*entrant{{name, []*child{server, client}, map[report.Loop]driver{
			report.Closed: newRemoteDriver(client),
		}}}, nil
	}
}

// buildPeers builds the program, once, for everybody to run. Where that is not possible its rows
// are left out.
func (s *site) buildPeers() (string, error) {
	if s.peers != "" {
		return s.peers, nil
	}
	if _, err := os.Stat(filepath.Join(peersDir, "go.mod")); errors.Is(err, fs.ErrNotExist) {
		return "", &leftOut{"no " + peersDir + " here: run it in a clone of the repository"}
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		return "", &leftOut{"building " + peersDir + " needs Go: " + err.Error()}
	}
	dir, err := filepath.Abs(filepath.Join(s.dir, "peers"))
	if err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildPatience)
	defer cancel()
	s.o.progress("building " + peersDir)
	build := exec.CommandContext(ctx, tool, "build", "-buildvcs=false", "-o", dir, ".")
	build.Dir = peersDir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	if said, err := build.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(said)), "\n")
		return "", &leftOut{fmt.Sprintf("%s cannot be built: %v: %s", peersDir, err,
			lines[len(lines)-1])}
	}
	s.peers = dir
	return dir, nil
}
