package client_test

import (
	"context"
	"fmt"

	"openruntimes/handler/client"
	"openruntimes/handler/parse"
)

// A payment from the press of a button to the receipt.
func ExampleClient_Pay() {
	pay := func(ctx context.Context, session string) error {
		c, err := client.New(client.Config{Endpoint: "https://fra.cloud.appwrite.io/v1", Project: "PROJECT", Session: session})
		if err != nil {
			return err
		}
		for state := range c.Pay(ctx, client.Payment{Phone: "0712345678", Amount: 1000, Reference: "ORDER-001"}) {
			fmt.Println(state.Name, state.Message(client.English))
			if state.Name == client.Success {
				fmt.Println(state.Receipt, state.Amount, state.Reference)
			}
		}
		return nil
	}
	_ = pay
}

// What a state says, and in which words.
func ExampleState_Message() {
	state := client.State{Name: client.Failed, Kind: parse.Payment, Code: 1, Reason: "The balance is insufficient for the transaction."}
	fmt.Println(state.Message(client.English))
	fmt.Println(state.Message(client.Swahili))
	fmt.Println(state.NotEnoughFunds(), state.AskAgain())
	// Output:
	// Payment not completed: your M-PESA balance is too low.
	// Malipo hayakukamilika: salio halitoshi.
	// true true
}
