package parse

import (
	"encoding/json"
	"os"
	"testing"
)

// The pairs of benchmarks read the same body: once into a verdict, once into the
// same wire structs with encoding/json alone, which is the floor.

func BenchmarkSTK(b *testing.B) { benchmark(b, "../testdata/stk/paid-balance-no-value.json", STK) }
func BenchmarkB2C(b *testing.B) { benchmark(b, "../testdata/b2c/paid-pretty.json", B2C) }
func BenchmarkB2CTimeout(b *testing.B) {
	benchmark(b, "../testdata/timeout/envelope-pretty.json", B2CTimeout)
}

func BenchmarkSTKBare(b *testing.B) {
	benchmarkBare[stkBody](b, "../testdata/stk/paid-balance-no-value.json")
}
func BenchmarkB2CBare(b *testing.B) {
	benchmarkBare[struct{ Result result }](b, "../testdata/b2c/paid-pretty.json")
}
func BenchmarkB2CTimeoutBare(b *testing.B) {
	benchmarkBare[struct {
		Result result
		result
	}](b, "../testdata/timeout/envelope-pretty.json")
}

func benchmark(b *testing.B, file string, parse func([]byte) (Verdict, error)) {
	body := read(b, file)
	for i := 0; i < b.N; i++ {
		if _, err := parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkBare[T any](b *testing.B, file string) {
	body := read(b, file)
	for i := 0; i < b.N; i++ {
		var v T
		if err := json.Unmarshal(body, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func read(b *testing.B, file string) []byte {
	b.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.ResetTimer()
	return body
}
