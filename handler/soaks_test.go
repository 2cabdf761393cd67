package handler

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

// soakFlags say how much a soak does, and what it draws from.
type soakFlags struct {
	name string // of the test, behind "Test"
	what string // the size is counted in
	size *int
	seed *uint64
}

// newSoakFlags defines -NAME.WHAT and -NAME.seed, in small letters.
func newSoakFlags(name, what string, size int) soakFlags {
	prefix := strings.ToLower(name) + "."
	return soakFlags{name, what,
		flag.Int(prefix+what, size, "how many "+what+" the "+name+" test makes"),
		flag.Uint64(prefix+"seed", 0, "what the "+name+" test draws from; 0 is another one each time")}
}

// draw returns the seed.
func (f soakFlags) draw() uint64 {
	if *f.seed != 0 {
		return *f.seed
	}
	return uint64(time.Now().UnixNano())
}

// command is what does the same once more.
func (f soakFlags) command(seed uint64) string {
	prefix := strings.ToLower(f.name) + "."
	return fmt.Sprintf("go test ./handler -run '^Test%s$' -%s%s=%d -%sseed=%d", f.name, prefix, f.what, *f.size, prefix, seed)
}

// inWorlds divides a soak among worlds of a hundred, and runs them side by side.
func (f soakFlags) inWorlds(t *testing.T, seed uint64, run func(t *testing.T, world uint64, size int)) {
	worlds := max(1, *f.size/100)
	t.Run("world", func(t *testing.T) {
		for i := range worlds {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				run(t, uint64(i), *f.size/worlds)
			})
		}
	})
}

// passDays lets three days pass in steps, and for so long in rough weather.
func passDays(roughFor time.Duration, step func(d time.Duration, rough bool)) {
	for passed := time.Duration(0); passed < 3*day+2*time.Hour; {
		d := 5 * time.Minute
		if passed > 2*time.Hour {
			d = 30 * time.Minute
		}
		step(d, passed < roughFor)
		passed += d
	}
}

// replayAll is what an operator does in the end: what could be neither stored nor queued
// any more, and be it weeks after it was accepted, is in the error log.
func replayAll(t testing.TB, f *Function, errors []string) {
	for _, line := range errors {
		if !strings.HasPrefix(line, settle.Mark) {
			continue
		}
		if _, err := f.Replay(testbed.FunctionKey, line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
