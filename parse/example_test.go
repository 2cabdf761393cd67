package parse_test

import (
	"errors"
	"fmt"
	"os"

	"openruntimes/handler/parse"
)

// A callback in, a verdict out.
func ExampleSTK() {
	body, err := os.ReadFile("../testdata/stk/paid.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := parse.STK(body)
	fmt.Println(v.Status, v.Amount, "shillings", err)

	// Without the id that names the payment there is no verdict.
	_, err = parse.STK([]byte(`{"Body":{"stkCallback":{"ResultCode":0}}}`))
	fmt.Println(err, errors.Is(err, parse.ErrMissing))

	// Output:
	// SUCCESS 1000 shillings <nil>
	// Body.stkCallback.CheckoutRequestID: missing true
}
