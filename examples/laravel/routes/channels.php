<?php

use App\Models\Order;
use App\Models\User;
use Illuminate\Support\Facades\Broadcast;

// Decides about `Echo.private("orders.7")`.
Broadcast::channel('orders.{order}', fn (User $user, Order $order) => $user->id === $order->user_id);
