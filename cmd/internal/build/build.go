// Package build says which build of the programs this is.
package build

import (
	"runtime"
	"runtime/debug"
)

// Version is the module's version, from its tag or its commit, "+dirty" behind it if the tree had
// changes; "devel" if the build did not know.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// Line is what --version prints behind the program's name.
func Line() string {
	return Version() + " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}
